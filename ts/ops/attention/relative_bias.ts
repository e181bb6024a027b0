import { record, weightGradient } from "../../autograd/tape.js";
import { native } from "../../native/binding.js";
import { SrpoError } from "../../native/error.js";
import type { Tensor } from "../../tensor/tensor.js";

/**
 * T5's additive position bias for attention, in both directions: `bias[n, i, j] = table[bucket(j - i), n]`.
 * One half of the buckets is for keys behind the query, the other for those ahead; of each half the first
 * half is one distance each, the rest grow by equal ratios up to `maxDistance` (8, 12, 16, 23, 32, 46,
 * 64, 91 with the defaults).
 *
 * @param table - [buckets, N], float32 or bfloat16
 * @param L - tokens
 * @param options.buckets - rows of the table; a multiple of 4
 * @param options.maxDistance - farther keys share the last bucket
 * @returns [N, L, L], dtype of the table; the table's gradient is float32, summed in a fixed order
 * @throws SrpoError ERR_SHAPE, ERR_DTYPE or ERR_RANGE, naming the argument
 * @see T5, arXiv:1910.10683 sec. 2.1
 */
export function relativeBias(
  table: Tensor,
  L: number,
  { buckets = 32, maxDistance = 128 }: { buckets?: number; maxDistance?: number } = {},
): Tensor {
  if (table.shape[0] !== buckets)
    throw new SrpoError(
      "ERR_SHAPE",
      `relativeBias: table: expected [${buckets}, N], got [${table.shape.join(", ")}]`,
    );
  const bias = native.relativeBiasForward(table.handle, L, maxDistance);
  return record("relativeBias", [table], bias, (dbias) => {
    const { into, result } = weightGradient(table);
    if (into !== null) native.relativeBiasBackward(dbias, into, maxDistance);
    return [result];
  });
}
