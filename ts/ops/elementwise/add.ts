import { alias, record } from "../../autograd/tape.js";
import { native } from "../../native/binding.js";
import type { Tensor } from "../../tensor/tensor.js";

/**
 * `y = a + b`, element by element.
 *
 * @param a - any shape, float32 or bfloat16
 * @param b - shape and dtype of a
 * @returns shape and dtype of a
 * @throws SrpoError ERR_SHAPE, ERR_DTYPE or ERR_DEVICE, naming the argument
 */
export function add(a: Tensor, b: Tensor): Tensor {
  return record("add", [a, b], native.addForward(a.handle, b.handle), (dy) => [
    alias(dy),
    alias(dy),
  ]);
}
