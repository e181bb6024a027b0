import { native } from "../../native/binding.js";
import type { Tensor } from "../../tensor/tensor.js";
import { reshape } from "../layout/reshape.js";
import { groupNorm } from "./group_norm.js";

const pooled = ([B = 1, H = 1, W = 1, C = 1]: readonly number[]) => [1, B * H, W, C];

/**
 * Batch norm as a training step has it, channels last: `y = w * (x - mean) / sqrt(var + eps) + b`, mean and
 * variance of a channel over the pixels of the whole batch. It is the group norm of all pictures as one,
 * a channel a group; what inference puts in the statistics' place is measured by `batchStatistics`.
 *
 * @param x - [B, H, W, C], float32 or bfloat16
 * @param w - [C], dtype of x
 * @param b - [C], dtype of x
 * @param options.eps - added to the variance; default 1e-5, torch.nn.BatchNorm2d's
 * @returns [B, H, W, C], dtype of x; the same bits for any number of threads
 * @throws SrpoError ERR_SHAPE, ERR_DTYPE, ERR_DEVICE or ERR_RANGE, naming groupNorm's argument
 * @see Ioffe & Szegedy 2015, arXiv:1502.03167
 */
export function batchNorm(
  x: Tensor,
  w: Tensor,
  b: Tensor,
  { eps = 1e-5 }: { eps?: number } = {},
): Tensor {
  const y = groupNorm(reshape(x, pooled(x.shape)), w, b, { groups: x.dim(-1), eps });
  return reshape(y, x.shape);
}

/**
 * What `batchNorm` divides and shifts a batch by, to put fixed numbers in its place; no gradient.
 *
 * @returns mean and `rstd = 1 / sqrt(var + eps)` of each channel
 */
export async function batchStatistics(
  x: Tensor,
  w: Tensor,
  b: Tensor,
  { eps = 1e-5 }: { eps?: number } = {},
): Promise<{ mean: Float32Array; rstd: Float32Array }> {
  const all = native.tensorView(x.handle, 0, pooled(x.shape));
  const [y, mean, rstd] = native.groupNormForward(
    all,
    w.handle,
    b.handle,
    null,
    x.dim(-1),
    eps,
    false,
  );
  native.tensorDispose(y);
  const [m, r] = [native.tensorRead(mean), native.tensorRead(rstd)];
  return { mean: new Float32Array(await m), rstd: new Float32Array(await r) };
}
