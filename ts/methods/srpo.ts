// SRPO: Direct-Align with a semantic relative preference, arXiv:2509.06942.
//
//   clean      the end of a rollout from `noise` (or a real picture's latent)
//   image      recovered from a step of the model from noise level `from` to `to` (known_noise.ts)
//   denoise    from > to:  R = phi(image) . ((1 + k+) C+ - C-)
//   inversion  from < to:  R = phi(image) . ((1 + k-) C- - C+)
//   loss       = relu(margin - R) / 2, each branch; the update is the sum of both
//
// The "discounts" k+ and k- are the k of the relative reward, looked up at the step's noise level.
// Source of what the paper leaves open: Tencent-Hunyuan/SRPO, fastvideo/SRPO.py.

import { noGrad } from "../autograd/tape.js";
import { range } from "../native/ranges.js";
import { concat, hinge } from "../ops/index.js";
import { linspace } from "../sampler/float32.js";
import { tensorScope } from "../tensor/scope.js";
import type { Tensor } from "../tensor/tensor.js";
import { controlPrompts, type ControlWords } from "./control_words.js";
import type { Draws } from "./draws.js";
import { recoverImage } from "./known_noise.js";
import type { Batch, Method, RelativeReward, RewardParts, Term } from "./method.js";
import { termOf } from "./reward_loss.js";
import { rollout } from "./rollout.js";
import { Window, type BranchPlan, type WindowOptions } from "./window.js";

export interface SrpoOptions {
  window: WindowOptions;
  /** Euler steps of the rollout; 25. */
  rolloutSteps: number;
  /** Guidance input of the rollout; 1 with HPS, 2 with PickScore. */
  rolloutGuidance: number;
  /** Guidance input of the differentiated call; 3.5. */
  guidance: number;
  /** k+ from the low-noise to the high-noise end of the window; [0.1, 0.25] with HPS. */
  discountPositive: readonly [number, number];
  /** k-, likewise; [0.3, 0.01] with HPS. */
  discountNegative: readonly [number, number];
  /** Of the hinge; 0.7. */
  margin: number;
  /** `both` is the method; the others are ablations. */
  branches: "both" | "denoise" | "inversion";
  /** Both branches in one batch of two: the same sum, more memory, fewer launches. */
  branchesTogether: boolean;
  controlWords: ControlWords;
}

/** `drawNoise` is both the rollout's start and the known noise of both branches. */
export interface SrpoParts
  extends RewardParts<RelativeReward>, Pick<Draws, "drawNoise" | "drawIndex"> {}

type BranchName = "denoise" | "inversion";

/** One sample's place in one branch. */
interface Placed extends BranchPlan {
  branch: BranchName;
  k: number;
}

export class Srpo implements Method {
  readonly name = "srpo";
  readonly window: Window;
  readonly #discounts: Readonly<Record<BranchName, Float32Array>>;

  constructor(
    readonly options: SrpoOptions,
    readonly parts: SrpoParts,
  ) {
    this.window = new Window(options.window);
    const table = ([first, last]: readonly [number, number]) =>
      linspace(first, last, options.window.length);
    this.#discounts = {
      denoise: table(options.discountPositive),
      inversion: table(options.discountNegative),
    };
  }

  async *terms(batch: Batch): AsyncGenerator<Term> {
    const noise = this.parts.drawNoise(batch);
    const clean = batch.clean ?? (await this.rollout(batch, noise));
    const [low, high] = this.window.drawn;
    const indices = batch.samples.map((s) => this.parts.drawIndex(batch, s, low, high));
    yield* this.branchTerms(batch, clean, noise, indices);
  }

  /** The policy's own picture from `noise`: [B, L, 4C] float32, no gradient. */
  rollout(batch: Batch, noise: Tensor): Promise<Tensor> {
    const { rolloutSteps: steps, rolloutGuidance: guidance, window } = this.options;
    return rollout(this.parts.policy, batch, noise, { steps, guidance, shift: window.shift });
  }

  /** Both branches at window indices `m`, one a prompt: denoise first, then inversion. */
  *branchTerms(
    batch: Batch,
    clean: Tensor,
    noise: Tensor,
    indices: readonly number[],
  ): Generator<Term> {
    const { branches, branchesTogether } = this.options;
    const wanted: BranchName[] = branches === "both" ? ["denoise", "inversion"] : [branches];
    const groups = branchesTogether ? [wanted] : wanted.map((branch) => [branch]);
    for (const group of groups) {
      using scope = tensorScope();
      void scope;
      yield range(group.join("+"), () => this.#term(group, batch, clean, noise, indices));
    }
  }

  #place(branch: BranchName, m: number): Placed {
    const plan = branch === "denoise" ? this.window.denoise(m) : this.window.inversion(m);
    return { ...plan, branch, k: this.#discounts[branch][plan.discountIndex]! };
  }

  #term(
    group: readonly BranchName[],
    batch: Batch,
    clean: Tensor,
    noise: Tensor,
    indices: readonly number[],
  ): Term {
    const copies = (t: Tensor) => (group.length === 1 ? t : noGrad(() => concat([t, t], 0)));
    const plans = group.flatMap((branch) => indices.map((m) => this.#place(branch, m)));
    const features = { txt: copies(batch.features.txt), pooled: copies(batch.features.pooled) };
    const known = { clean: copies(clean), noise: copies(noise), features };
    const { image } = recoverImage(this.parts, known, plans, this.options.guidance);
    const { wanted, unwanted } = this.#text(group, batch);
    const k = plans.map((plan) => plan.k);
    const reward = this.parts.reward.score(image, wanted, unwanted, k);
    // The mean runs over the samples of all branches here; each branch counts half, as the official
    // accumulation over two does.
    const weight = (batch.share * group.length) / 2;
    const loss = hinge(reward, { margin: this.options.margin, weight });
    return termOf(group.join("+"), loss, reward);
  }

  #text(group: readonly BranchName[], batch: Batch): { wanted: Tensor; unwanted: Tensor } {
    const prompts = batch.captions.map((caption) =>
      controlPrompts(this.options.controlWords, batch.step, caption),
    );
    const side = (branch: BranchName, opposite: boolean) =>
      prompts.map((p) => ((branch === "denoise") !== opposite ? p.positive : p.negative));
    return {
      wanted: this.parts.reward.textFeatures(group.flatMap((branch) => side(branch, false))),
      unwanted: this.parts.reward.textFeatures(group.flatMap((branch) => side(branch, true))),
    };
  }
}
