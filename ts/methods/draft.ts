// DRaFT-K: the reward's gradient through the last K steps of the sampler, arXiv:2309.17400.
//
//   x_j     the rollout before its step j, no gradient up to j = T - K
//   x_j+1 = x_j + (sigma_j+1 - sigma_j) v(x_j, sigma_j),   the chain rule through all of it
//   loss  = -R(image of x_T, caption), or relu(margin - R)
//
// K = T is DRaFT proper. `recomputeSteps` keeps the K states alone and one step's tape at a time. Its
// terms go backwards, each the step's part of the chain:
//
//   last step   the loss itself, of x_T(x_T-1)
//   step j      <x_j+1(x_j), a_j+1>,   a_j+1 the gradient at x_j+1 that the term before has left
//
// They sum up to the one tape's gradient, to the bit, for one more forward a step but the last. As short
// terms they also keep the device's queue short, however large K is.
//
// The strongest hacking of all, and exploding gradients for large K. Source of what the paper leaves
// open on FLUX: RuoyuWang-2077/FlowBP, flowbp/trainers/flux1/draft_lv.py; see methods.md 8.

import { requireGrad } from "../autograd/tape.js";
import { SrpoError } from "../native/error.js";
import { mul, sum } from "../ops/index.js";
import { denoise, eulerStep } from "../sampler/denoise.js";
import { shiftedSigmas } from "../sampler/schedule.js";
import { synchronize } from "../tensor/device.js";
import { tensorScope } from "../tensor/scope.js";
import type { Tensor } from "../tensor/tensor.js";
import type { Draws } from "./draws.js";
import type { Batch, Method, RewardParts, Term } from "./method.js";
import { rewardTerm, type RewardLossOptions } from "./reward_loss.js";
import { policySteps, requireLateSteps, velocityOf } from "./rollout.js";

export interface DraftOptions {
  /** T, Euler steps of the rollout; 25 (50 of DDIM in the original). */
  rolloutSteps: number;
  /** Static time shift; 1.88 at 512 x 512, where diffusers' dynamic one is that. */
  shift: number;
  /** Guidance input of the steps without gradient; 4. */
  rolloutGuidance: number;
  /** Guidance input of the differentiated steps; 4, as they are steps of one sampler. */
  guidance: number;
  /** K, the last steps that are differentiated; 1. */
  lastSteps: number;
  /** One step's tape at a time instead of all K. */
  recomputeSteps: boolean;
  loss: RewardLossOptions;
}

export interface DraftParts extends RewardParts, Pick<Draws, "drawNoise"> {}

/** @throws SrpoError ERR_CONFIG for more differentiated steps than there are */
export function checkDraft({ lastSteps, rolloutSteps }: DraftOptions): void {
  requireLateSteps("draft: lastSteps", lastSteps, rolloutSteps);
}

export class Draft implements Method {
  readonly name = "draft";
  /** [T + 1] */
  readonly #sigmas: Float32Array;

  constructor(
    readonly options: DraftOptions,
    readonly parts: DraftParts,
  ) {
    checkDraft(options);
    this.#sigmas = shiftedSigmas(options.rolloutSteps, options.shift);
  }

  terms(batch: Batch): AsyncGenerator<Term> {
    return this.options.recomputeSteps ? this.#stepByStep(batch) : this.#together(batch);
  }

  /** One term, whose tape holds all K steps. */
  async *#together(batch: Batch): AsyncGenerator<Term> {
    using scope = tensorScope();
    void scope;
    const { rolloutSteps, lastSteps } = this.options;
    let x = await this.#start(batch);
    for (let j = rolloutSteps - lastSteps; j < rolloutSteps; ++j) {
      x = this.#step(batch, x, j);
      await synchronize(x.device);
    }
    yield this.#end(batch, x);
  }

  /** K terms from the last step back. */
  async *#stepByStep(batch: Batch): AsyncGenerator<Term> {
    using scope = tensorScope();
    void scope;
    const { rolloutSteps, lastSteps } = this.options;
    const states = await this.#states(batch);
    try {
      for (let back = 1; back <= lastSteps; ++back) {
        using inner = tensorScope();
        void inner;
        const x = states.at(-back)!;
        if (back < lastSteps) requireGrad(x);
        const next = this.#step(batch, x, rolloutSteps - back);
        yield back === 1 ? this.#end(batch, next) : chainTerm(next, states.at(1 - back)!);
      }
    } finally {
      for (const x of states) x.grad?.dispose();
    }
  }

  /** x_T-K, where the differentiated steps begin. */
  #start(batch: Batch): Promise<Tensor> {
    const { rolloutSteps, lastSteps, rolloutGuidance } = this.options;
    const sigmas = this.#sigmas.subarray(0, rolloutSteps - lastSteps + 1);
    const { policy, drawNoise } = this.parts;
    return policySteps(policy, batch, drawNoise(batch), { sigmas, guidance: rolloutGuidance });
  }

  /** x_T-K to x_T-1, no gradient. */
  async #states(batch: Batch): Promise<Tensor[]> {
    const { rolloutSteps, lastSteps, guidance } = this.options;
    const start = await this.#start(batch);
    const states = [start];
    const velocity = velocityOf(this.parts.policy, batch, guidance);
    const sigmas = this.#sigmas.subarray(rolloutSteps - lastSteps, rolloutSteps);
    await denoise(velocity, start, sigmas, { onStep: (_, x) => void states.push(x.detach()) });
    return states;
  }

  #end(batch: Batch, clean: Tensor): Term {
    const { loss } = this.options;
    return rewardTerm("end", this.parts, batch, clean, { ...loss, share: batch.share });
  }

  /** x_j -> x_j+1 */
  #step(batch: Batch, x: Tensor, j: number): Tensor {
    const velocity = velocityOf(this.parts.policy, batch, this.options.guidance);
    return eulerStep(x, velocity(x, this.#sigmas[j]!), this.#sigmas[j]!, this.#sigmas[j + 1]!);
  }
}

/** <next, a>, a being the gradient that the term before has left at the same state. */
function chainTerm(next: Tensor, { grad }: Tensor): Term {
  if (grad === undefined)
    throw new SrpoError(
      "ERR_GRADIENT",
      "draft: expected each term to be differentiated before the next is asked for, got one that was not",
    );
  return { name: "chain", loss: sum(mul(next, grad)), metrics: {} };
}
