import { record, weightGradient } from "../../autograd/tape.js";
import { native } from "../../native/binding.js";
import type { Tensor } from "../../tensor/tensor.js";

/**
 * Root-mean-square norm over the last dimension: `y = x / sqrt(mean(x^2) + eps) * w`; no mean is
 * taken off and nothing added.
 *
 * @param x - [..., D], float32 or bfloat16
 * @param w - [D], dtype of x; none: 1
 * @param options.eps - added to the mean square; default 1e-6, as in T5 and FLUX.1
 * @returns [..., D], dtype and device of x; sums run in float32, in fixed blocks
 * @throws SrpoError ERR_SHAPE, ERR_DTYPE, ERR_DEVICE or ERR_RANGE, naming the argument
 * @see arXiv:1910.07467
 * @example const h = rmsNorm(x, weight);
 */
export function rmsNorm(
  x: Tensor,
  w?: Tensor | null,
  { eps = 1e-6 }: { eps?: number } = {},
): Tensor {
  const wHandle = w?.handle ?? null;
  const [y, rstd] = native.rmsNormForward(x.handle, wHandle, eps);
  return record("rmsNorm", [x, w], y, (dy) => {
    const dw = weightGradient(w);
    const dx = native.rmsNormBackward(dw.into, dy, x.handle, wHandle, rstd, x.requiresGrad);
    return [dx, dw.result];
  });
}
