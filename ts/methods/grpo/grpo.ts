// GRPO on a flow, as DanceGRPO (arXiv:2505.07818) and Flow-GRPO (arXiv:2505.05470) have it: the rollout
// is a chain of Gaussian steps (sampler/sde.ts), and steps that led to better pictures are made likelier.
//
//   group      G pictures a prompt, by stochastic rollouts of the policy, no gradient; R of each
//   A          (R - mean of the group) / (std + eps), bounded                           advantages.ts
//   ratio      r = exp(log p(x'|x) - log p when it was made), of a trained step x -> x'
//   loss       mean of max(-A r, -A clip(r, 1 - below, 1 + above)) + beta KL            loss.ts
//
// The mean runs over the pass's pictures and their trained steps. An update is `passes` optimizer steps,
// each from G / passes pictures of every prompt. The reward has no gradient: only log p has, through
// the velocity.
//
// Member m of every group of a batch is one forward, in the rollout and in training: with the same rows
// in the same batch the ratio before the first optimizer step is 1, to the bit.

import { asRecorded, noGrad } from "../../autograd/tape.js";
import { SrpoError } from "../../native/error.js";
import { add, scale, sub } from "../../ops/index.js";
import {
  dynamicMu,
  fluxDevSchedule,
  inferenceSigmas,
  shiftedSigmas,
} from "../../sampler/schedule.js";
import { sdeLogDensity, sdeMean } from "../../sampler/sde.js";
import { tensorScope } from "../../tensor/scope.js";
import { tensor } from "../../tensor/tensor.js";
import type { Batch, Method, Policy, RewardParts, Term } from "../method.js";
import { pictureOf, plainReward } from "../picture.js";
import { velocityOf } from "../rollout.js";
import { average, deviationOf, groupAdvantages, type AdvantageOptions } from "./advantages.js";
import type { GroupDraws } from "./draws.js";
import { isClipped, policyLoss, referenceLoss, type ClipRange } from "./loss.js";
import { Planner, type PicturePlan, type PlanOptions } from "./plan.js";
import { rowsOf, stochasticRollout, type Rollout } from "./rollout.js";

export interface GrpoOptions extends PlanOptions {
  /** Steps of the rollout; 16 in DanceGRPO, 6 in Flow-GRPO. */
  rolloutSteps: number;
  /** `shift`: the static one; `dynamic`: diffusers', by the picture's number of tokens. */
  rolloutSigmas: "shift" | "dynamic";
  shift: number;
  /** Guidance input of every call; 3.5. */
  guidance: number;
  /** G, pictures a prompt; 12 or 24. */
  groupSize: number;
  /** Whether a group's rollouts start from one noise (`init_same_noise`) or from one each. */
  groupNoise: "group" | "picture";
  /** Optimizer steps an update; divides groupSize; 3 or 2. */
  passes: number;
  advantages: AdvantageOptions;
  clipRange: ClipRange;
  /** beta; 0: no reference is asked. */
  klWeight: number;
}

export interface GrpoParts extends RewardParts {
  groups: GroupDraws;
  /** The frozen start of the policy; needed if klWeight is above 0. */
  reference?: Policy | undefined;
}

/** Member m of a batch's groups. */
interface Member {
  plans: readonly PicturePlan[];
  rollout: Rollout;
  /** One a prompt. */
  rewards: Float32Array;
}

export class Grpo implements Method {
  readonly passes: number;
  readonly planner: Planner;
  /** Of the update at hand: the members of each batch, by the places of its prompts. */
  readonly #batches = new Map<string, { samples: readonly number[]; members: Member[] }>();
  #step = 0;
  /** Rewards of all of the update's groups, on other ranks too, by the prompt's place; once they are known. */
  #all: ReadonlyMap<number, readonly number[]> | undefined;
  #advantages: Map<number, readonly number[]> | undefined;

  /** @throws SrpoError ERR_CONFIG, naming the option */
  constructor(
    readonly options: GrpoOptions,
    readonly parts: GrpoParts,
    readonly name = "grpo",
  ) {
    const { klWeight } = options;
    if (klWeight > 0 && parts.reference === undefined)
      refuse("reference", `the policy's frozen start for klWeight ${klWeight}`, "none");
    this.planner = checkGrpo(options, (parts.decoder.height * parts.decoder.width) / 4);
    this.passes = options.passes;
  }

  /** Rolls out every member of the batch's groups and scores it. */
  async collect(batch: Batch): Promise<void> {
    const key = keyOf(batch);
    if (batch.step !== this.#step || this.#batches.has(key)) this.#batches.clear();
    this.#step = batch.step;
    this.#all = undefined;
    this.#advantages = undefined;
    const members: Member[] = [];
    for (let m = 0; m < this.options.groupSize; ++m) members.push(await this.#rollOut(batch, m));
    this.#batches.set(key, { samples: batch.samples, members });
  }

  /** A spread over the update, and what is logged, are of all ranks' groups. */
  async collected(gather: <T>(mine: T) => Promise<T[]>): Promise<void> {
    this.#all = undefined;
    const ranks = await gather([...this.#rewards()]);
    this.#all = new Map(ranks.flat());
    this.#advantages = undefined;
  }

  async *terms(batch: Batch): AsyncGenerator<Term> {
    const pool = this.#batches.get(keyOf(batch));
    if (pool === undefined || batch.step !== this.#step)
      throw new SrpoError(
        "ERR_CONFIG",
        `grpo: terms: expected a batch that was collected in update ${batch.step}, got prompts ${keyOf(batch)}`,
      );
    const each = this.options.groupSize / this.passes;
    for (let m = batch.pass * each; m < (batch.pass + 1) * each; ++m)
      for (let slot = 0; slot < this.planner.trained; ++slot) {
        using scope = tensorScope();
        void scope;
        yield await this.#term(batch, pool.members[m]!, m, slot);
      }
  }

  /** Advantages of the update by the prompt's place, once every batch is collected. */
  advantages(): ReadonlyMap<number, readonly number[]> {
    if (this.#advantages !== undefined) return this.#advantages;
    const rewards = this.#rewards();
    const values = groupAdvantages([...rewards.values()], this.options.advantages);
    this.#advantages = new Map([...rewards.keys()].map((sample, i) => [sample, values[i]!]));
    return this.#advantages;
  }

  #rewards(): ReadonlyMap<number, readonly number[]> {
    if (this.#all !== undefined) return this.#all;
    return new Map(
      [...this.#batches.values()].flatMap(({ samples, members }) =>
        samples.map((sample, b) => [sample, members.map(({ rewards }) => rewards[b]!)] as const),
      ),
    );
  }

  async #rollOut(batch: Batch, m: number): Promise<Member> {
    using scope = tensorScope();
    const { groupSize, groupNoise, guidance } = this.options;
    const { policy, decoder, reward, groups } = this.parts;
    const { step, samples, captions } = batch;
    const pictures = samples.map((sample) => sample * groupSize + m);
    const plans = samples.map((sample, b) => {
      const { windowStarts, noisy } = this.planner;
      const windowStart = windowStarts > 1 ? groups.drawWindow(step, sample, windowStarts) : 0;
      return this.planner.plan(windowStart, () => groups.drawOrder(step, pictures[b]!, noisy));
    });
    const first = groupNoise === "group" ? samples.map((s) => s * groupSize) : pictures;
    const velocity = velocityOf(policy, batch, guidance);
    const rollout = await stochasticRollout(velocity, groups.drawStart(step, first), plans, (i) =>
      groups.drawStepNoise(step, pictures, i),
    );
    scope.keep(rollout.states.filter((state) => state !== undefined));
    const rewards = await noGrad(() =>
      plainReward(reward, pictureOf(decoder, rollout.end), captions),
    ).read();
    return { plans, rollout, rewards };
  }

  /** One trained step of every prompt's member m. */
  async #term(
    { samples, features, share }: Batch,
    { plans, rollout }: Member,
    m: number,
    slot: number,
  ): Promise<Term> {
    const { clipRange, klWeight, guidance, groupSize } = this.options;
    const { policy, reference } = this.parts;
    const at = plans.map(({ trained }) => trained[slot]!);
    const steps = plans.map((plan, b) => plan.steps[at[b]!]!);
    const from = steps.map((step) => step.from);
    const x = rowsOf(rollout.states, at);
    const next = rowsOf(
      rollout.states,
      at.map((i) => i + 1),
    );
    const velocity = policy.velocity(x, from, features, guidance);
    const density = sdeLogDensity(next, sdeMean(x, velocity, steps), steps);
    const old = Float32Array.from(at, (i, b) => rollout.logDensities[i]![b]!);
    const logRatio = sub(density, tensor(old, density.shape, { device: density.device }));
    const advantages = samples.map((sample) => this.advantages().get(sample)![m]!);
    // Each picture's each trained step counts alike: this term's are B of them.
    const weight = share / ((groupSize / this.passes) * this.planner.trained);
    const policyPart = policyLoss(logRatio, advantages, {
      clipRange,
      weight: weight / samples.length,
    });
    const distance =
      klWeight > 0
        ? referenceLoss(
            velocity,
            asRecorded(() => reference!.velocity(x, from, features, guidance)),
            steps,
          )
        : undefined;
    const loss =
      distance === undefined ? policyPart : add(policyPart, scale(distance, klWeight * weight));
    return {
      name: "grpo",
      loss,
      metrics: {
        loss,
        ...this.#rewardMetrics(),
        ...ratioMetrics(await logRatio.read(), advantages, clipRange),
        ...(distance && { kl: distance }),
      },
    };
  }

  /** Of all of the update's pictures, the same in every term. */
  #rewardMetrics(): { reward: number; rewardSpread: number } {
    const groups = [...this.#rewards().values()];
    const { deviation } = this.options.advantages;
    return {
      reward: average(groups.flat()),
      rewardSpread: average(groups.map((group) => deviationOf(group, deviation))),
    };
  }
}

function keyOf({ samples }: Batch): string {
  return samples.join(" ");
}

function ratioMetrics(
  logRatios: Float32Array,
  advantages: readonly number[],
  clipRange: ClipRange,
): { ratio: number; clipped: number } {
  const all = Array.from(logRatios);
  return {
    ratio: average(all.map((l) => Math.exp(l))),
    clipped: average(all.map((l, b) => (isClipped(l, advantages[b]!, clipRange) ? 1 : 0))),
  };
}

function refuse(name: string, expected: string, got: unknown): never {
  throw new SrpoError("ERR_CONFIG", `grpo: ${name}: expected ${expected}, got ${String(got)}`);
}

/**
 * What the options come to, or why they do not fit together.
 *
 * @param tokens - of a picture, for dynamic sigmas
 * @throws SrpoError ERR_CONFIG, naming the option
 */
export function checkGrpo(options: GrpoOptions, tokens = 4096): Planner {
  const { groupSize, passes, clipRange, klWeight, rolloutSteps, rolloutSigmas, shift } = options;
  if (!(Number.isInteger(groupSize) && groupSize >= 2))
    refuse(
      "groupSize",
      "2 or more, as an advantage compares the pictures of one prompt",
      groupSize,
    );
  if (!(Number.isInteger(passes) && passes >= 1 && groupSize % passes === 0))
    refuse("passes", `a whole number that divides groupSize ${groupSize}`, passes);
  const [below, above] = clipRange;
  if (!(below > 0 && below < 1 && above > 0))
    refuse(
      "clipRange",
      "[below, above], above 0 both, and below less than 1",
      `[${below}, ${above}]`,
    );
  if (!(klWeight >= 0)) refuse("klWeight", "0 or more", klWeight);
  const sigmas =
    rolloutSigmas === "shift"
      ? shiftedSigmas(rolloutSteps, shift)
      : inferenceSigmas(rolloutSteps, fluxDevSchedule, dynamicMu(fluxDevSchedule, tokens));
  return new Planner(sigmas, options);
}
