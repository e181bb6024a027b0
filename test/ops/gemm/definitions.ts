// The definitions that the tests of this family hold ops against, in float64.
import type { Activation } from "../../../ts/ops/index.js";

/** A B of one matrix, one value at a time; `transpose` says how the numbers lie. */
export function product(
  a: Float64Array,
  b: Float64Array,
  {
    M,
    N,
    K,
    transposeA = false,
    transposeB = false,
  }: { M: number; N: number; K: number; transposeA?: boolean; transposeB?: boolean },
): Float64Array {
  return Float64Array.from({ length: M * N }, (_, index) => {
    const [i, j] = [Math.floor(index / N), index % N];
    let total = 0;
    for (let k = 0; k < K; ++k)
      total += a[transposeA ? k * M + i : i * K + k]! * b[transposeB ? j * K + k : k * N + j]!;
    return total;
  });
}

/** erf by its series where that converges fast, and by erfc's continued fraction beyond. */
function erf(x: number): number {
  const a = Math.abs(x);
  if (a < 3) {
    let term = a;
    let total = a;
    for (let n = 1; n < 80; ++n) {
      term *= (-a * a) / n;
      total += term / (2 * n + 1);
    }
    return (Math.sign(x) * 2 * total) / Math.sqrt(Math.PI);
  }
  let fraction = a;
  for (let n = 60; n > 0; --n) fraction = a + n / 2 / fraction;
  return Math.sign(x) * (1 - Math.exp(-a * a) / fraction / Math.sqrt(Math.PI));
}

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));

export const activations: Readonly<Record<Activation, (x: number) => number>> = {
  none: (x) => x,
  "gelu-tanh": (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
  "gelu-erf": (x) => 0.5 * x * (1 + erf(x / Math.SQRT2)),
  "quick-gelu": (x) => x * sigmoid(1.702 * x),
  silu: (x) => x * sigmoid(x),
};
