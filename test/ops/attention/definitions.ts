// The definition that the tests of this family hold attention against, in float64.

export interface Sizes {
  B: number;
  N: number;
  Lq: number;
  Lk: number;
  Dh: number;
}

export interface Values {
  q: Float64Array;
  k: Float64Array;
  v: Float64Array;
  bias?: Float64Array | undefined;
  keyMask?: Float64Array | undefined;
}

/** The definition in float64: every score of a row, then softmax, then the sum of the values. */
export function definition(
  { B, N, Lq, Lk, Dh }: Sizes,
  { q, k, v, bias, keyMask }: Values,
  { scale = 1 / Math.sqrt(Dh), causal = false }: { scale?: number; causal?: boolean } = {},
): Float64Array {
  const out = new Float64Array(B * Lq * N * Dh);
  for (let b = 0; b < B; ++b)
    for (let n = 0; n < N; ++n)
      for (let i = 0; i < Lq; ++i) {
        const row = q.subarray(((b * N + n) * Lq + i) * Dh, ((b * N + n) * Lq + i + 1) * Dh);
        const seen = [];
        for (let j = 0; j < Lk; ++j) {
          if ((causal && j > i) || keyMask?.[b * Lk + j] === 0) continue;
          let product = 0;
          for (let d = 0; d < Dh; ++d) product += row[d]! * k[((b * N + n) * Lk + j) * Dh + d]!;
          seen.push({ j, score: product * scale + (bias?.[(n * Lq + i) * Lk + j] ?? 0) });
        }
        const highest = Math.max(...seen.map(({ score }) => score));
        const total = seen.reduce((sum, { score }) => sum + Math.exp(score - highest), 0);
        for (const { j, score } of seen)
          for (let d = 0; d < Dh; ++d)
            out[((b * Lq + i) * N + n) * Dh + d]! +=
              (Math.exp(score - highest) / total) * v[((b * N + n) * Lk + j) * Dh + d]!;
      }
  return out;
}
