import type { Device } from "../../tensor/device.js";
import type { DType } from "../../tensor/dtype.js";
import { native, type Binding } from "../../native/binding.js";
import { Tensor } from "../../tensor/tensor.js";

/** What names a draw: the same names give the same numbers, on every device and in every run. */
export interface DrawKey {
  /** 0 to 2^64 - 1, the run's seed. */
  seed: bigint;
  /** One of `purposes`; 0 to 2^32 - 1. */
  purpose: number;
  /** Training step, 0 to 2^32 - 1. */
  step: number;
}

export interface DrawOptions extends DrawKey {
  /**
   * 0 to 2^32 - 1, the sample's number over all ranks. An array names one an entry of the first
   * dimension: each entry then is what a draw of its own would be.
   */
  sample: number | readonly number[];
  /** Element of the sample's sequence to start at, a multiple of 4; default 0. */
  offset?: number;
  device?: Device;
}

/** Calls one of the addon's three draws. */
export function draw(
  name: keyof Pick<Binding, "randn" | "rand" | "randomBits">,
  shape: readonly number[],
  { seed, purpose, step, sample, offset = 0, device = "cpu" }: DrawOptions,
  dtype: DType,
): Tensor {
  const samples = typeof sample === "number" ? [sample] : sample;
  return new Tensor(native[name](shape, seed, purpose, step, samples, offset, dtype, device));
}
