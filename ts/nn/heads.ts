import { concat, reshape, split } from "../ops/index.js";
import type { Tensor } from "../tensor/tensor.js";

/**
 * The heads of a projection apart, as `attention` takes them: for queries and keys of other lengths, where
 * `qkvNormRope` cannot split them together.
 *
 * @param x - [B, L, N*Dh]
 * @returns [B, N, L, Dh]
 */
export function splitHeads(x: Tensor, heads: number): Tensor {
  const [B, L, width] = x.shape as [number, number, number];
  if (L === 1) return reshape(x, [B, heads, 1, width / heads]);
  const parts = split(x, 2, heads).map((part) => reshape(part, [B, 1, L, width / heads]));
  return concat(parts, 1);
}
