// The loss that flow models are pretrained by, on real pictures:
//
//   mean((v(x_sigma, sigma) - (noise - clean))^2),   x_sigma = (1 - sigma) clean + sigma noise

import { noGrad } from "../autograd/tape.js";
import { cast, combine, mse, sub } from "../ops/index.js";
import type { Tensor } from "../tensor/tensor.js";
import type { Policy, PromptFeatures } from "./method.js";

/** (1 - sigma) clean + sigma noise, a noise level a sample; no gradient. */
export function noisyAt(clean: Tensor, noise: Tensor, sigmas: readonly number[]): Tensor {
  const kept = sigmas.map((sigma) => Math.fround(1 - sigma));
  return noGrad(() => combine(clean, noise, { x: kept, y: sigmas }));
}

/**
 * @param clean - [B, L, 4C] packed, float32; `noise` likewise
 * @param sigmas - one a sample
 * @returns [1] float32, the mean over samples and elements; the gradient flows through v alone
 */
export function flowMatchingLoss(
  policy: Policy,
  { clean, noise, features }: { clean: Tensor; noise: Tensor; features: PromptFeatures },
  sigmas: readonly number[],
  guidance: number,
): Tensor {
  const noisy = noisyAt(clean, noise, sigmas);
  const velocity = cast(policy.velocity(noisy, sigmas, features, guidance), "float32");
  return mse(
    velocity,
    noGrad(() => sub(noise, clean)),
  );
}
