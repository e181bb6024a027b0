import { native } from "../../native/binding.js";
import { Tensor, type TensorOptions } from "../../tensor/tensor.js";

/**
 * The sinusoids of a timestep (or of the guidance), cosines first:
 * `[cos(t f_0), ..., sin(t f_0), ...]`, `f_i = 10000^(-i / (dim / 2))`. No gradient. Frequencies and
 * angles are rounded to float32 where the public float32 implementations round them.
 *
 * @param t - one number a sample, 1000 sigma
 * @param options.dim - even; default 256, FLUX.1's
 * @param options.dtype - default float32
 * @returns [B, dim]
 * @throws SrpoError ERR_SHAPE for no timestep; RangeError ERR_RANGE for an odd dim or a t that is not
 *   finite
 * @see arXiv:1706.03762 sec. 3.5
 */
export function timestepEmbedding(
  t: readonly number[],
  { dim = 256, dtype = "float32", device = "cpu" }: TensorOptions & { dim?: number } = {},
): Tensor {
  return new Tensor(native.timestepEmbedding(t, dim, dtype, device));
}
