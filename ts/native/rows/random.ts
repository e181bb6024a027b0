import type { Handle } from "../handle.js";

/** What cpp/binding/random.cpp registers. */
export interface RandomRows {
  randn(
    shape: readonly number[],
    seed: bigint,
    purpose: number,
    step: number,
    samples: readonly number[],
    offset: number,
    dtype: string,
    device: string,
  ): Handle;
  rand(
    shape: readonly number[],
    seed: bigint,
    purpose: number,
    step: number,
    samples: readonly number[],
    offset: number,
    dtype: string,
    device: string,
  ): Handle;
  randomBits(
    shape: readonly number[],
    seed: bigint,
    purpose: number,
    step: number,
    samples: readonly number[],
    offset: number,
    dtype: string,
    device: string,
  ): Handle;
}
