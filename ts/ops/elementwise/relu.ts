import { record } from "../../autograd/tape.js";
import { native } from "../../native/binding.js";
import type { Tensor } from "../../tensor/tensor.js";

/**
 * `y = max(x, 0)`, element by element. The gradient is 1 above 0 and 0 elsewhere, at 0 too.
 *
 * @param x - any shape, float32 or bfloat16
 * @throws SrpoError ERR_SHAPE or ERR_DTYPE, naming the argument
 */
export function relu(x: Tensor): Tensor {
  return record("relu", [x], native.reluForward(x.handle), (dy) => [
    native.reluBackward(dy, x.handle),
  ]);
}
