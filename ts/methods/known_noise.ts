// What every method that recovers clean pictures from a known noise shares (methods.md 4):
//
//   x_from     = from noise + (1 - from) clean
//   recovered  = clean + g (v(x_from) - (noise - clean)),   g = (to - from) / (1 - to)
//   image      = clamp(0.5 D(recovered) + 0.5, 0, 1)
//
// Only v has a gradient, and g its sign: below 0 it denoises, above it inverts.

import { recover } from "../ops/index.js";
import type { Tensor } from "../tensor/tensor.js";
import { noisyAt } from "./flow_matching.js";
import type { LatentDecoder, Policy, PromptFeatures } from "./method.js";
import { inUnitRange } from "./picture.js";
import { recoveryGain, type BranchPlan } from "./window.js";

/** The recovered picture in [0, 1] of every sample, `plans` one each. */
export function recoverImage(
  { policy, decoder }: { policy: Policy; decoder: LatentDecoder },
  { clean, noise, features }: { clean: Tensor; noise: Tensor; features: PromptFeatures },
  plans: readonly Omit<BranchPlan, "discountIndex">[],
  guidance: number,
): { image: Tensor; velocity: Tensor; decoded: Tensor } {
  const from = plans.map((plan) => plan.from);
  const noisy = noisyAt(clean, noise, from);
  const velocity = policy.velocity(noisy, from, features, guidance);
  const latent = recover(clean, noise, velocity, { ...decoder, g: plans.map(recoveryGain) });
  const decoded = decoder.decode(latent);
  return { image: inUnitRange(decoded), velocity, decoded };
}
