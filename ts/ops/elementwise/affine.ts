import { record } from "../../autograd/tape.js";
import { native } from "../../native/binding.js";
import type { Tensor } from "../../tensor/tensor.js";

/**
 * `y = a x + b`, element by element, with plain numbers a and b.
 *
 * @param x - any shape, float32 or bfloat16
 * @throws SrpoError ERR_SHAPE or ERR_DTYPE, naming the argument; RangeError ERR_RANGE for a number
 *   that is not finite
 */
export function affine(x: Tensor, a: number, b: number): Tensor {
  return record("affine", [x], native.affineForward(x.handle, a, b), (dy) => [
    native.scaleForward(dy, a),
  ]);
}
