import type { Handle } from "../handle.js";

/** Numbers that seed, purpose, step and the samples name, from an offset within each. */
type Draw = (
  shape: readonly number[],
  seed: bigint,
  purpose: number,
  step: number,
  samples: readonly number[],
  offset: number,
  dtype: string,
  device: string,
) => Handle;

/** What cpp/binding/random.cpp registers. */
export interface RandomRows {
  readonly randn: Draw;
  readonly rand: Draw;
  readonly randomBits: Draw;
}
