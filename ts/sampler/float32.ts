// Schedules are float32 arithmetic in the reference: every operation rounds, or trunc(1000 * sigma) gives 899
// for 900.

/** `n` values from `start` to `end`, both included, as torch.linspace computes them in float32. */
export function linspace(start: number, end: number, n: number): Float32Array {
  const f = Math.fround;
  const step = n > 1 ? f(f(end - start) / (n - 1)) : 0;
  const half = Math.floor(n / 2);
  return Float32Array.from({ length: n }, (_, i) =>
    i < half || n === 1 ? start + step * i : end - step * (n - 1 - i),
  );
}

/** The float32 bfloat16 nearest to a number. */
export { roundToBFloat16 } from "../tensor/dtype.js";
