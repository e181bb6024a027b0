import { record } from "../../autograd/tape.js";
import { native } from "../../native/binding.js";
import type { Tensor } from "../../tensor/tensor.js";

/**
 * `y = x / (1 + exp(-x))`, element by element.
 *
 * @param x - any shape, float32 or bfloat16
 * @throws SrpoError ERR_SHAPE or ERR_DTYPE, naming the argument
 */
export function silu(x: Tensor): Tensor {
  return record("silu", [x], native.siluForward(x.handle), (dy) => [
    native.siluBackward(dy, x.handle),
  ]);
}
