import { native } from "../../native/binding.js";
import type { Tensor } from "../../tensor/tensor.js";

/**
 * Writes one value to every element, in place, outside the tape.
 *
 * @param t - any shape, float32 or bfloat16
 * @param value - rounded to t's dtype
 * @throws SrpoError ERR_SHAPE or ERR_DTYPE, naming the argument
 */
export function fill(t: Tensor, value: number): void {
  native.fill(t.handle, value);
}
