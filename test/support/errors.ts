import assert from "node:assert/strict";
import type { Tensor } from "../../ts/tensor/tensor.js";

/** ||a - b|| / ||b||, and infinity if a number is missing or not finite. */
export function relativeError(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Infinity;
  let difference = 0;
  let norm = 0;
  for (let i = 0; i < a.length; ++i) {
    if (!Number.isFinite(a[i]!)) return Infinity;
    difference += (a[i]! - b[i]!) ** 2;
    norm += b[i]! ** 2;
  }
  return norm === 0 ? Math.sqrt(difference) : Math.sqrt(difference / norm);
}

/** Fails unless the relative L2 error against the exact values is at most `tolerance`. */
export async function assertRelative(
  actual: Tensor,
  exact: ArrayLike<number>,
  tolerance: number,
  what = "",
): Promise<void> {
  const error = relativeError(await actual.read(), exact);
  assert.ok(error <= tolerance, `${what} relative error ${error} above ${tolerance}`);
}

/**
 * Fails unless `actual` errs against the exact values at most `times` as much as `errorOf`, a plain
 * composition of the same precision; errors below float32's own rounding always pass.
 */
export async function assertWithin(
  actual: Tensor,
  exact: ArrayLike<number>,
  { times, errorOf }: { times: number; errorOf: Tensor },
): Promise<void> {
  const plain = relativeError(await errorOf.read(), exact);
  await assertRelative(actual, exact, Math.max(times * plain, 1e-7), `plain ${plain},`);
}
