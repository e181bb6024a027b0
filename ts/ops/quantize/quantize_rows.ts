import { native } from "../../native/binding.js";
import { Tensor } from "../../tensor/tensor.js";

/**
 * Writes rows as 8-bit floats (F8_E4M3) and a float32 scale each, which takes the row's largest magnitude to 448:
 * at most 1/16 off, below 2^-6 of the scale half of 2^-9 of it. A row with a value that is not finite gets a
 * scale that is not.
 *
 * @param x - [R, C]
 * @param codes - [R, C], uint8, written
 * @param scales - [R], float32, written
 * @throws SrpoError ERR_SHAPE, ERR_DTYPE or ERR_DEVICE, naming the argument
 */
export function quantizeRows(x: Tensor, codes: Tensor, scales: Tensor): void {
  native.quantizeRows(x.handle, codes.handle, scales.handle);
}

/**
 * The rows that `quantizeRows` wrote: code times scale, rounded once. No gradient.
 *
 * @param codes - [R, C], uint8
 * @param scales - [R], float32
 * @returns [R, C]
 * @throws SrpoError ERR_SHAPE, ERR_DTYPE or ERR_DEVICE, naming the argument
 */
export function dequantizeRows(
  codes: Tensor,
  scales: Tensor,
  dtype: "float32" | "bfloat16",
): Tensor {
  return new Tensor(native.dequantizeRows(codes.handle, scales.handle, dtype));
}
