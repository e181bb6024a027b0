import { record } from "../../autograd/tape.js";
import { native } from "../../native/binding.js";
import type { DType } from "../../tensor/dtype.js";
import type { Tensor } from "../../tensor/tensor.js";

/** One coefficient for all samples, or one a sample. */
export type Coefficients = number | readonly number[];

/**
 * `cx[b] x + cy[b] y`, with plain numbers that may differ from sample to sample (first dimension):
 * noising, Euler steps, interpolation.
 *
 * @param x - [B, ...], float32 or bfloat16
 * @param y - shape of x; its dtype may differ
 * @param coefficients.x - cx
 * @param coefficients.y - cy
 * @param coefficients.dtype - of the result; default float32 if an input is, else bfloat16. The
 *   arithmetic is float32.
 * @throws SrpoError ERR_SHAPE, ERR_DTYPE or ERR_DEVICE, naming the argument; RangeError ERR_RANGE for
 *   a number that is not finite
 * @example const noisy = combine(clean, noise, { x: 1 - sigma, y: sigma });
 */
export function combine(
  x: Tensor,
  y: Tensor,
  coefficients: { x: Coefficients; y: Coefficients; dtype?: DType },
): Tensor {
  const each = (c: Coefficients): number[] =>
    typeof c === "number" ? Array.from({ length: x.shape[0] ?? 1 }, () => c) : [...c];
  const [cx, cy] = [each(coefficients.x), each(coefficients.y)];
  const wide = x.dtype === "float32" || y.dtype === "float32";
  const dtype = coefficients.dtype ?? (wide ? "float32" : "bfloat16");
  const out = native.combineForward(x.handle, y.handle, cx, cy, dtype);
  return record("combine", [x, y], out, (dout) => [
    x.requiresGrad ? native.combineForward(dout, null, cx, [], x.dtype) : null,
    y.requiresGrad ? native.combineForward(dout, null, cy, [], y.dtype) : null,
  ]);
}
