import { record, weightGradient } from "../../autograd/tape.js";
import { native } from "../../native/binding.js";
import type { Tensor } from "../../tensor/tensor.js";

/**
 * Layer norm over the last dimension: `y = (x - mean) / sqrt(var + eps) * w + b`, with the biased
 * variance.
 *
 * @param x - [..., D], float32 or bfloat16
 * @param w - [D], dtype of x; none: 1
 * @param b - [D], dtype of x; none: 0
 * @param options.eps - added to the variance; default 1e-5, as in CLIP
 * @returns [..., D], dtype and device of x; sums run in float32, in fixed blocks
 * @throws SrpoError ERR_SHAPE, ERR_DTYPE, ERR_DEVICE or ERR_RANGE, naming the argument
 * @see arXiv:1607.06450
 * @example const h = layerNorm(x, weight, bias);
 */
export function layerNorm(
  x: Tensor,
  w?: Tensor | null,
  b?: Tensor | null,
  { eps = 1e-5 }: { eps?: number } = {},
): Tensor {
  const [wHandle, bHandle] = [w?.handle ?? null, b?.handle ?? null];
  const [y, mean, rstd] = native.layerNormForward(x.handle, wHandle, bHandle, eps);
  return record("layerNorm", [x, w, b], y, (dy) => {
    const [dw, db] = [weightGradient(w), weightGradient(b)];
    const dx = native.layerNormBackward(
      dw.into,
      db.into,
      dy,
      x.handle,
      wHandle,
      mean,
      rstd,
      x.requiresGrad,
    );
    return [dx, dw.result, db.result];
  });
}
