// Rollouts: the policy's own pictures by Euler steps, and the one-step estimate at any noise level.
//
//   step      x_to  = x_from + (to - from) v(x_from, from)
//   estimate  clean = x_sigma - sigma v(x_sigma, sigma)     (the step to 0)

import { SrpoError } from "../native/error.js";
import { range } from "../native/ranges.js";
import { combine } from "../ops/index.js";
import { denoise, type DenoiseOptions, type VelocityAt } from "../sampler/denoise.js";
import { shiftedSigmas } from "../sampler/schedule.js";
import type { Tensor } from "../tensor/tensor.js";
import type { Batch, Policy, PromptFeatures } from "./method.js";

export interface RolloutOptions {
  /** Euler steps. */
  steps: number;
  guidance: number;
  /** Static time shift. */
  shift: number;
}

/** The policy's field for a batch's prompts, all at one noise level. */
export function velocityOf(
  policy: Policy,
  { captions, features }: Pick<Batch, "captions" | "features">,
  guidance: number,
): VelocityAt {
  return (x, sigma) =>
    policy.velocity(
      x,
      captions.map(() => sigma),
      features,
      guidance,
    );
}

/**
 * The policy's Euler steps from `noise` over these noise levels, what they share made once: [B, L, 4C] float32, no
 * gradient.
 */
export function policySteps(
  policy: Policy,
  batch: Pick<Batch, "captions" | "features">,
  noise: Tensor,
  { sigmas, guidance, ...options }: { sigmas: Float32Array; guidance: number } & DenoiseOptions,
): Promise<Tensor> {
  return range("rollout", async () => {
    using ahead = policy.ahead?.([...sigmas.subarray(0, -1)], batch.features, guidance);
    void ahead;
    return await denoise(velocityOf(policy, batch, guidance), noise, sigmas, options);
  });
}

/** The policy's own picture from `noise`: [B, L, 4C] float32, no gradient. */
export function rollout(
  policy: Policy,
  batch: Batch,
  noise: Tensor,
  { steps, guidance, shift }: RolloutOptions,
): Promise<Tensor> {
  return policySteps(policy, batch, noise, { sigmas: shiftedSigmas(steps, shift), guidance });
}

/**
 * Clean latents in one step, `noisy - sigma v`; the gradient flows through v and through `noisy`.
 *
 * @param noisy - [B, L, 4C] float32
 * @param sigmas - one a sample; the weight of v's gradient is -sigma
 * @returns [B, L, 4C] float32
 */
export function cleanEstimate(
  policy: Policy,
  noisy: Tensor,
  sigmas: readonly number[],
  features: PromptFeatures,
  guidance: number,
): Tensor {
  const velocity = policy.velocity(noisy, sigmas, features, guidance);
  return combine(noisy, velocity, { x: 1, y: sigmas.map((sigma) => -sigma) });
}

/**
 * That `steps` are some of a rollout's last.
 *
 * @param name - of the option, for the message
 * @throws SrpoError ERR_CONFIG
 */
export function requireLateSteps(name: string, steps: number, rolloutSteps: number): void {
  if (Number.isInteger(steps) && steps >= 1 && steps <= rolloutSteps) return;
  throw new SrpoError(
    "ERR_CONFIG",
    `${name}: expected a whole number from 1 to rolloutSteps, ${rolloutSteps}, got ${steps}`,
  );
}
