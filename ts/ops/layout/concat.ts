import { record } from "../../autograd/tape.js";
import { native } from "../../native/binding.js";
import type { Tensor } from "../../tensor/tensor.js";

/**
 * The tensors one after the other along a dimension.
 *
 * @param xs - at least one; any dtype, the same for all, and the same sizes but for `dim`
 * @param dim - negative counts from the end
 * @throws SrpoError ERR_SHAPE, ERR_DTYPE, ERR_DEVICE or ERR_RANGE, naming the argument
 * @example const x = concat([txt, img], 1); // [B, Lt, D], [B, Li, D] -> [B, Lt + Li, D]
 */
export function concat(xs: readonly Tensor[], dim: number): Tensor {
  const y = native.concatForward(
    xs.map((x) => x.handle),
    dim,
  );
  return record("concat", xs, y, (dy) => {
    let start = 0;
    return xs.map((x) => {
      const [from, length] = [start, x.dim(dim)];
      start += length;
      return x.requiresGrad ? native.sliceForward(dy, dim, from, length) : null;
    });
  });
}
