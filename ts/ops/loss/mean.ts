import { record } from "../../autograd/tape.js";
import { native } from "../../native/binding.js";
import type { Tensor } from "../../tensor/tensor.js";

/**
 * The mean of all elements.
 *
 * @param x - any shape, float32 or bfloat16
 * @returns [1], float32; summed in double over fixed blocks, the same for any number of threads
 * @throws SrpoError ERR_SHAPE for a tensor without elements, ERR_DTYPE
 */
export function mean(x: Tensor): Tensor {
  return record("mean", [x], native.meanForward(x.handle), (dy) => [
    native.meanBackward(dy, x.handle),
  ]);
}
