import { alias, record } from "../../autograd/tape.js";
import { native } from "../../native/binding.js";
import type { Tensor } from "../../tensor/tensor.js";

/**
 * `y = a - b`, element by element.
 *
 * @param a - any shape, float32 or bfloat16
 * @param b - shape and dtype of a
 * @throws SrpoError ERR_SHAPE, ERR_DTYPE or ERR_DEVICE, naming the argument
 */
export function sub(a: Tensor, b: Tensor): Tensor {
  return record("sub", [a, b], native.subForward(a.handle, b.handle), (dy) => [
    a.requiresGrad ? alias(dy) : null,
    b.requiresGrad ? native.scaleForward(dy, -1) : null,
  ]);
}
