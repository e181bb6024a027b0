import { record } from "../../autograd/tape.js";
import { native } from "../../native/binding.js";
import type { Tensor } from "../../tensor/tensor.js";

/**
 * Layer norm over the channels, then one scale and shift per sample:
 * `y = (1 + scale) * (x - mean) / sqrt(var + eps) + shift`.
 *
 * @param x - [B, L, D], float32 or bfloat16
 * @param scale - [B, D], dtype of x; added to 1 before it multiplies
 * @param shift - [B, D], dtype of x
 * @param options.eps - added to the variance; 1e-6 in FLUX.1
 * @returns [B, L, D], dtype and device of x; sums run in float32
 * @throws SrpoError ERR_SHAPE, ERR_DTYPE or ERR_DEVICE, naming the argument
 * @see FLUX.1 `img_mod` on `img_norm1`; adaLN, arXiv:2212.09748 sec. 3.2
 */
export function modulatedLayerNorm(
  x: Tensor,
  scale: Tensor,
  shift: Tensor,
  { eps = 1e-6 }: { eps?: number } = {},
): Tensor {
  const [y, mean, rstd] = native.modulatedLayerNormForward(
    x.handle,
    scale.handle,
    shift.handle,
    eps,
  );
  return record("modulatedLayerNorm", [x, scale, shift], y, (dy) =>
    native.modulatedLayerNormBackward(dy, x.handle, scale.handle, mean, rstd),
  );
}
