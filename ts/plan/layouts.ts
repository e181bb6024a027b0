// What each weight costs by how it is kept, and what of it a rank holds: kernels.md 3.2.
//
//   bytes a weight = weights + master + moments + gradients
//
//   sharding  a rank of N holds
//   none      all of it
//   zero1     weights and gradients, 1/N of master and moments
//   zero2     weights, 1/N of the rest
//   zero3     1/N of everything

import type { MomentForm } from "../optim/adamw.js";

export const masters = ["fp32", "remainder", "none"] as const;
export const gradientForms = ["float32", "bfloat16"] as const;
export const shardings = ["none", "zero1", "zero2", "zero3"] as const;

export interface Layout {
  /** Bytes of a weight that the forward reads: 2 or 4. */
  weightBytes: 2 | 4;
  /** Beside 16-bit weights: a float32 copy, the lower 16 bits of one, or nothing (stochastic rounding). */
  master: (typeof masters)[number];
  moments: MomentForm;
  gradients: (typeof gradientForms)[number];
  /** Modulation gradients kept as rank-1 factors (kernels.md 2.3.2). */
  factored: boolean;
  sharding: (typeof shardings)[number];
  ranks: number;
}

/** Bytes a weight. 8-bit moments have a byte for the exponent of each block of 256. */
export const masterBytes = { fp32: 4, remainder: 2, none: 0 } as const;
export const momentBytes = { float32: 8, bfloat16: 4, "8bit": 2 * (1 + 1 / 256) } as const;
export const gradientBytes = { float32: 4, bfloat16: 2 } as const;

/** Bytes on one rank of what a training step keeps of the weights between steps. */
export interface StateBytes {
  weights: number;
  master: number;
  moments: number;
  gradients: number;
}

/**
 * @param count - trained weights
 * @param modulation - those of them that are modulation projections, which `factored` leaves out of the gradients
 */
export function stateBytes(
  layout: Layout,
  { count, modulation }: { count: number; modulation: number },
): StateBytes {
  const { sharding, ranks, weightBytes, factored } = layout;
  const shared = (...by: (typeof shardings)[number][]) => (by.includes(sharding) ? ranks : 1);
  const withGradient = factored ? count - modulation : count;
  const states = shared("zero1", "zero2", "zero3");
  return {
    weights: (count * weightBytes) / shared("zero3"),
    master: (count * masterBytes[layout.master]) / states,
    moments: (count * momentBytes[layout.moments]) / states,
    gradients: (withGradient * gradientBytes[layout.gradients]) / shared("zero2", "zero3"),
  };
}

/** Bytes that an update reads and writes of a rank's weights: norm, AdamW, and the zeroing of gradients. */
export function updateBytes(layout: Layout, count: number): number {
  const { weightBytes, ranks, sharding } = layout;
  const kept = weightBytes + masterBytes[layout.master] + momentBytes[layout.moments];
  const gradient = gradientBytes[layout.gradients];
  // Read and written; the gradient read by the update and written over with zeros. Of several ranks the norm reads
  // it too; of one it knows the squares from the products, but for biases and the like.
  const each = 2 * kept + (ranks === 1 ? 2 : 3) * gradient;
  return (each * count) / (sharding === "none" ? 1 : ranks);
}

/** What several ranks can train with. */
const thereOnRanks: readonly Layout["sharding"][] = ["zero1", "zero2"];

/** What of a layout this version does not have, in words; empty where it can be trained with today. */
export function missingOf(layout: Layout): string[] {
  const { master, sharding, ranks } = layout;
  return [
    ...(ranks > 1 && !thereOnRanks.includes(sharding)
      ? [`sharding ${sharding} (there is ${thereOnRanks.join(", ")})`]
      : []),
    ...(master === "fp32" && layout.weightBytes === 2
      ? ["float32 masters beside bf16 weights"]
      : []),
  ];
}
