import { record, weightGradient } from "../../autograd/tape.js";
import { native } from "../../native/binding.js";
import type { Tensor } from "../../tensor/tensor.js";

/**
 * Group norm over a picture, channels last: `y = act(w * (x - mean) / sqrt(var + eps) + b)`, mean and
 * variance over a sample's pixels and C/groups neighbouring channels.
 *
 * @param x - [B, H, W, C], float32 or bfloat16
 * @param w - [C], dtype of x
 * @param b - [C], dtype of x
 * @param options.groups - a divisor of C; 32 in FLUX.1's autoencoder
 * @param options.eps - added to the variance; 1e-6 in FLUX.1's autoencoder
 * @param options.act - "silu" folds `v * sigmoid(v)` in
 * @param options.statistics - of x's groups, from `conv2dWithStatistics`: x is then read once less
 * @returns [B, H, W, C], dtype of x; sums in float32 and double, the same bits for any number of threads
 * @throws SrpoError ERR_SHAPE, ERR_DTYPE, ERR_DEVICE or ERR_RANGE, naming the argument
 * @see Wu & He 2018, arXiv:1803.08494
 */
export function groupNorm(
  x: Tensor,
  w: Tensor,
  b: Tensor,
  {
    groups,
    eps = 1e-6,
    act = "none",
    statistics,
  }: { groups: number; eps?: number; act?: "none" | "silu"; statistics?: Tensor | undefined },
): Tensor {
  const silu = act === "silu";
  const [y, mean, rstd] = native.groupNormForward(
    x.handle,
    w.handle,
    b.handle,
    statistics?.handle ?? null,
    groups,
    eps,
    silu,
  );
  return record("groupNorm", [x, w, b], y, (dy) => {
    const [dw, db] = [weightGradient(w), weightGradient(b)];
    const dx = native.groupNormBackward(
      dw.into,
      db.into,
      dy,
      x.handle,
      w.handle,
      b.handle,
      mean,
      rstd,
      silu,
      x.requiresGrad,
    );
    return [dx, dw.result, db.result];
  });
}
