import { record } from "../../autograd/tape.js";
import { native } from "../../native/binding.js";
import type { Tensor } from "../../tensor/tensor.js";

/**
 * `y = e^x`, element by element.
 *
 * @param x - any shape, float32 or bfloat16
 * @throws SrpoError ERR_SHAPE or ERR_DTYPE, naming the argument
 */
export function exp(x: Tensor): Tensor {
  return record("exp", [x], native.expForward(x.handle), (dy) => [
    native.expBackward(dy, x.handle),
  ]);
}
