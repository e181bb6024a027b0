import { record } from "../../autograd/tape.js";
import { native } from "../../native/binding.js";
import type { Tensor } from "../../tensor/tensor.js";

/**
 * `y = a b`, element by element.
 *
 * @param a - any shape, float32 or bfloat16
 * @param b - shape and dtype of a
 * @throws SrpoError ERR_SHAPE, ERR_DTYPE or ERR_DEVICE, naming the argument
 */
export function mul(a: Tensor, b: Tensor): Tensor {
  return record("mul", [a, b], native.mulForward(a.handle, b.handle), (dy) => [
    a.requiresGrad ? native.mulForward(dy, b.handle) : null,
    b.requiresGrad ? native.mulForward(dy, a.handle) : null,
  ]);
}
