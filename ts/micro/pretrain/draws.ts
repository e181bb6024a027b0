import { purposes } from "../../ops/random/purposes.js";
import { randomIntegers } from "../../ops/random/random_integer.js";

/** Numbers of one sample of one step, in an order that the caller fixes. */
export interface Draws {
  /** Uniform in [0, 1), of 24 bits. */
  uniform(): number;
  /** A whole number from 0 to n - 1. */
  below(n: number): number;
  /** Standard normal. */
  normal(): number;
}

/** The draws of a sample: named by seed, stage, step and sample, so that a resumed run repeats them. */
export function drawsOf(
  seed: bigint,
  { stage, step, sample }: { stage: number; step: number; sample: number },
): Draws {
  const bits = randomIntegers(0, 2 ** 24 - 1, {
    seed,
    purpose: purposes.pretrainData,
    step,
    // A batch has fewer than 2^16 samples.
    sample: stage * 65_536 + sample,
  });
  const uniform = () => bits.next().value / 2 ** 24;
  return {
    uniform,
    below: (n) => Math.floor(uniform() * n),
    normal: () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()),
  };
}

/** A stage's number among draws: add, never renumber. */
export const drawStages = {
  autoencoder: 0,
  reward: 1,
  preference: 2,
  styleJudge: 3,
  attributeJudge: 4,
  policy: 5,
  look: 6,
} as const;
