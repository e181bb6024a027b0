// DRaFT-LV: DRaFT-1 with a gradient of low variance, arXiv:2309.17400.
//
//   end        x_T of a rollout whose last step is differentiated, from sigma = sigma_T-1 to 0
//   noisy_i  = (1 - sigma) end + sigma noise_i,   fresh noise, i = 1 .. n, no gradient through the end
//   end_i    = noisy_i - sigma v(noisy_i, sigma)
//   loss     = -(R(end) + R(end_1) + ... + R(end_n)) / (n + 1), or the hinge of each
//
// One term a picture, so that only one of them is on the tape. n = 0 is DRaFT-1.
//
// Source: for FLUX RuoyuWang-2077/FlowBP, flowbp/trainers/flux1/draft_lv.py; see methods.md 8.

import { SrpoError } from "../native/error.js";

import { shiftedSigmas } from "../sampler/schedule.js";
import { tensorScope } from "../tensor/scope.js";
import type { Tensor } from "../tensor/tensor.js";
import type { Draws } from "./draws.js";
import { noisyAt } from "./flow_matching.js";
import type { Batch, Method, RewardParts, Term } from "./method.js";
import { rewardTerm, type RewardLossOptions } from "./reward_loss.js";
import { cleanEstimate, policySteps } from "./rollout.js";

export interface DraftLvOptions {
  /** T, Euler steps of the rollout; 25. */
  rolloutSteps: number;
  /** Static time shift; 1.88 at 512 x 512, where diffusers' dynamic one is that. */
  shift: number;
  /** Guidance input of the steps without gradient; 4. */
  rolloutGuidance: number;
  /** Guidance input of the differentiated calls; 4. */
  guidance: number;
  /** n, pictures beside the rollout's end; 2. */
  renoisings: number;
  loss: RewardLossOptions;
}

export interface DraftLvParts extends RewardParts, Pick<Draws, "drawNoise" | "drawRenoise"> {}

/** @throws SrpoError ERR_CONFIG */
export function checkDraftLv({ renoisings }: DraftLvOptions): void {
  if (!(Number.isInteger(renoisings) && renoisings >= 0))
    throw new SrpoError(
      "ERR_CONFIG",
      `draft-lv: renoisings: expected a whole number, 0 or more, got ${renoisings}`,
    );
}

export class DraftLv implements Method {
  readonly name = "draft-lv";
  /** [T + 1] */
  readonly #sigmas: Float32Array;

  constructor(
    readonly options: DraftLvOptions,
    readonly parts: DraftLvParts,
  ) {
    checkDraftLv(options);
    this.#sigmas = shiftedSigmas(options.rolloutSteps, options.shift);
  }

  async *terms(batch: Batch): AsyncGenerator<Term> {
    const { rolloutSteps, rolloutGuidance, renoisings } = this.options;
    const { parts } = this;
    const before = await policySteps(parts.policy, batch, parts.drawNoise(batch), {
      sigmas: this.#sigmas.subarray(0, rolloutSteps),
      guidance: rolloutGuidance,
    });
    let end: Tensor;
    {
      using scope = tensorScope();
      const clean = this.#estimate(batch, before);
      end = scope.keep(clean.detach());
      yield this.#term("end", batch, clean);
    }
    for (let i = 0; i < renoisings; ++i) {
      using scope = tensorScope();
      void scope;
      const noisy = noisyAt(end, parts.drawRenoise(batch, i), this.#last(batch));
      yield this.#term("renoised", batch, this.#estimate(batch, noisy));
    }
  }

  /** The differentiated step to 0. */
  #estimate(batch: Batch, noisy: Tensor): Tensor {
    const { guidance } = this.options;
    return cleanEstimate(this.parts.policy, noisy, this.#last(batch), batch.features, guidance);
  }

  /** sigma_T-1, once a sample. */
  #last({ samples }: Batch): number[] {
    return samples.map(() => this.#sigmas[this.options.rolloutSteps - 1]!);
  }

  #term(name: string, batch: Batch, clean: Tensor): Term {
    const { loss, renoisings } = this.options;
    const share = batch.share / (renoisings + 1);
    return rewardTerm(name, this.parts, batch, clean, { ...loss, share });
  }
}
