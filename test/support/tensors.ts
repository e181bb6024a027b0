import { requireGrad } from "../../ts/autograd/tape.js";
import { tensor, type Tensor, type TensorOptions } from "../../ts/tensor/tensor.js";

/** A small generator of its own (mulberry32): tests must not lean on the one under test. */
function generator(seed: number): () => number {
  let state = (seed * 0x9e3779b9 + 0x6d2b79f5) | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** n numbers in [low, high), always the same for a seed. */
export function uniforms(n: number, seed: number, low = 0, high = 1): Float64Array {
  const next = generator(seed);
  return Float64Array.from({ length: n }, () => low + (high - low) * next());
}

/** Normal numbers, always the same for a seed. */
export function randn(
  shape: readonly number[],
  { seed = 0, scale = 1, ...options }: TensorOptions & { seed?: number; scale?: number } = {},
): Tensor {
  const n = shape.reduce((product, size) => product * size, 1);
  const next = generator(seed + 1);
  const values = Float32Array.from(
    { length: n },
    () => scale * Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next()),
  );
  return tensor(values, shape, options);
}

/** A copy of a tensor's values as a leaf that wants a gradient. */
export function leaf(x: Tensor): Tensor {
  return requireGrad(x.detach());
}

/** The values in float64: exact for float32 and bfloat16. */
export async function toFloat64<T extends readonly Tensor[]>(
  ...tensors: T
): Promise<{ [K in keyof T]: Float64Array }> {
  const all = [];
  for (const t of tensors) all.push(Float64Array.from(await t.read()));
  return all as { [K in keyof T]: Float64Array };
}
