import { record } from "../../autograd/tape.js";
import { native } from "../../native/binding.js";
import type { Tensor } from "../../tensor/tensor.js";

/**
 * `y = s x`, element by element, with a plain number s.
 *
 * @param x - any shape, float32 or bfloat16
 * @throws SrpoError ERR_SHAPE or ERR_DTYPE, naming the argument; RangeError ERR_RANGE for a number
 *   that is not finite
 */
export function scale(x: Tensor, s: number): Tensor {
  return record("scale", [x], native.scaleForward(x.handle, s), (dy) => [
    native.scaleForward(dy, s),
  ]);
}
