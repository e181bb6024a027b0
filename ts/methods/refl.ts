// ReFL: the reward of a clean estimate from late in the rollout, arXiv:2304.05977.
//
//   noisy   the rollout stopped before its step i, no gradient; i uniform among the last `stopSteps`
//   clean   noisy - sigma_i v(noisy, sigma_i): the only differentiated call
//   loss    relu(margin - R(image, caption)), or -R
//
// The gradient of v is weighed by sigma_i: nearly nothing at the last steps, and earlier the estimate is
// a blur that a reward cannot judge. Only late steps are trained: expect colour and texture to be hacked.
// Against that the original adds the ordinary denoising loss on real pairs (flow_matching.ts), and so does
// this where the batch has real pictures; the form for FLUX goes without.
//
// Source: THUDM/ImageReward, ImageReward/ReFL.py; for rectified flow RuoyuWang-2077/FlowBP,
// flowbp/trainers/flux1/refl.py; see methods.md 7.

import { noGrad } from "../autograd/tape.js";
import { concat, scale, slice } from "../ops/index.js";

import { shiftedSigmas } from "../sampler/schedule.js";
import { tensorScope } from "../tensor/scope.js";
import type { Tensor } from "../tensor/tensor.js";
import type { Draws } from "./draws.js";
import { flowMatchingLoss } from "./flow_matching.js";
import type { Batch, Method, RewardParts, Term } from "./method.js";
import { rewardTerm, type RewardLossOptions } from "./reward_loss.js";
import { cleanEstimate, policySteps, requireLateSteps } from "./rollout.js";

export interface ReflOptions {
  /** Euler steps of a whole rollout; 25 (40 in the original). */
  rolloutSteps: number;
  /** Static time shift; 1.88 at 512 x 512, where diffusers' dynamic one is that. */
  shift: number;
  /** Guidance input of the steps before the stop; 4. */
  rolloutGuidance: number;
  /** Guidance input of the differentiated call; 4, as they are steps of one sampler. */
  guidance: number;
  /** The last steps among which the stop is drawn; 11 of 25 (10 of 40 in the original). */
  stopSteps: number;
  loss: RewardLossOptions;
  /** Of the denoising loss on real pictures, where there are any; 1, with `loss.scale` 1e-3. */
  pretrainWeight: number;
}

export interface ReflParts extends RewardParts, Draws {}

// Noise levels that the denoising loss draws from, uniform in time as a sampler's steps are.
const trainingSteps = 1000;

/** @throws SrpoError ERR_CONFIG for a stop outside the rollout */
export function checkRefl({ stopSteps, rolloutSteps }: ReflOptions): void {
  requireLateSteps("refl: stopSteps", stopSteps, rolloutSteps);
}

export class Refl implements Method {
  readonly name = "refl";

  constructor(
    readonly options: ReflOptions,
    readonly parts: ReflParts,
  ) {
    checkRefl(options);
  }

  async *terms(batch: Batch): AsyncGenerator<Term> {
    yield* this.#rewardTerm(batch);
    if (batch.clean !== undefined && this.options.pretrainWeight > 0)
      yield* this.#pretrainTerm(batch, batch.clean);
  }

  async *#rewardTerm(batch: Batch): AsyncGenerator<Term> {
    using scope = tensorScope();
    void scope;
    const { rolloutSteps, stopSteps, shift, guidance, loss } = this.options;
    const { parts } = this;
    const first = rolloutSteps - stopSteps;
    const stops = batch.samples.map((s) => parts.drawStop(batch, s, first, rolloutSteps - 1));
    const sigmas = shiftedSigmas(rolloutSteps, shift);
    const noisy = await this.#stopped(batch, sigmas, stops);
    const levels = stops.map((i) => sigmas[i]!);
    const clean = cleanEstimate(parts.policy, noisy, levels, batch.features, guidance);
    yield rewardTerm("estimate", parts, batch, clean, { ...loss, share: batch.share });
  }

  *#pretrainTerm(batch: Batch, clean: Tensor): Generator<Term> {
    using scope = tensorScope();
    void scope;
    const { parts } = this;
    const { shift, pretrainWeight } = this.options;
    const levels = shiftedSigmas(trainingSteps, shift);
    const sigmas = batch.samples.map(
      (s) => levels[parts.drawIndex(batch, s, 0, trainingSteps - 1)]!,
    );
    const pairs = { clean, noise: parts.drawRenoise(batch, 0), features: batch.features };
    // Guidance 1: the input at which a distilled model is the field of the data.
    const loss = scale(
      flowMatchingLoss(parts.policy, pairs, sigmas, 1),
      batch.share * pretrainWeight,
    );
    yield { name: "pretrain", loss, metrics: { loss } };
  }

  /** The rollout's state before step `stops[b]` of each prompt: [B, L, 4C] float32, no gradient. */
  async #stopped(batch: Batch, sigmas: Float32Array, stops: readonly number[]): Promise<Tensor> {
    const { policy } = this.parts;
    const rows: Tensor[] = [];
    const keep = (done: number, latents: Tensor) =>
      stops.forEach((stop, b) => {
        if (stop === done) rows[b] = noGrad(() => slice(latents, 0, b, 1));
      });
    const noise = this.parts.drawNoise(batch);
    keep(0, noise);
    await policySteps(policy, batch, noise, {
      sigmas: sigmas.subarray(0, Math.max(...stops) + 1),
      guidance: this.options.rolloutGuidance,
      onStep: keep,
    });
    return noGrad(() => concat(rows, 0));
  }
}
