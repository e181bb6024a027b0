import { record } from "../../autograd/tape.js";
import { native } from "../../native/binding.js";
import type { Tensor } from "../../tensor/tensor.js";

/**
 * The product of every matrix of a batch, `A B`, where A is `a` or its transpose and B likewise.
 *
 * @param a - [..., M, K], or [..., K, M] to be transposed; float32 or bfloat16
 * @param b - [..., K, N], or [..., N, K] to be transposed; dtype and leading sizes of a
 * @returns [..., M, N], dtype and device of a; sums run in float32
 * @throws SrpoError ERR_SHAPE, ERR_DTYPE or ERR_DEVICE, naming the argument
 */
export function matmul(
  a: Tensor,
  b: Tensor,
  { transposeA = false, transposeB = false }: { transposeA?: boolean; transposeB?: boolean } = {},
): Tensor {
  const y = native.matmulForward(a.handle, b.handle, transposeA, transposeB);
  return record("matmul", [a, b], y, (dy) => [
    !a.requiresGrad
      ? null
      : transposeA
        ? native.matmulForward(b.handle, dy, transposeB, true)
        : native.matmulForward(dy, b.handle, false, !transposeB),
    !b.requiresGrad
      ? null
      : transposeB
        ? native.matmulForward(dy, a.handle, true, transposeA)
        : native.matmulForward(a.handle, dy, !transposeA, false),
  ]);
}
