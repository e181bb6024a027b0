// Direct-Align alone: the plain reward of pictures recovered from a known noise, arXiv:2509.06942.
//
//   clean      the end of a rollout from `noise` (or a real picture's latent)
//   image_i    recovered from a step of the model from noise level `from_i` down to `to_i`
//              (known_noise.ts), i = 1 .. n, each at a level of its own
//   loss       = -1/n sum_i lambda_i phi(image_i) . C,   C the caption's own text features
//   lambda     = s t / (1 + (s - 1) t) at the place t of the level in the window, 1 the noisiest
//
// Nothing relates the reward to an unwanted one: expect it to be hacked, sooner at low noise. Source of
// what the paper leaves open (lambda): Tencent-Hunyuan/SRPO, fastvideo/SRPO_Qwen.py; see methods.md 5.2, 6.

import { range } from "../native/ranges.js";
import { mul, sum } from "../ops/index.js";
import { tensorScope } from "../tensor/scope.js";
import { tensor, type Tensor } from "../tensor/tensor.js";
import type { Draws } from "./draws.js";
import { recoverImage } from "./known_noise.js";
import type { Batch, Method, RewardParts, Term } from "./method.js";
import { plainReward } from "./picture.js";
import { termOf } from "./reward_loss.js";
import { rollout } from "./rollout.js";
import { Window, type WindowOptions } from "./window.js";

export interface DirectAlignOptions {
  window: WindowOptions;
  /** Euler steps of the rollout; 25. */
  rolloutSteps: number;
  /** Guidance input of the rollout; 1. */
  rolloutGuidance: number;
  /** Guidance input of the differentiated call; 3.5. */
  guidance: number;
  /** n, noise levels a prompt; 1 or 2. */
  injections: number;
  /** s, the shift of lambda; 0: every level counts the same. */
  discountShift: number;
}

/** `drawNoise` is both the rollout's start and the known noise of every injection. */
export interface DirectAlignParts extends RewardParts, Pick<Draws, "drawNoise" | "drawIndex"> {}

// The recovery divides by 1 - to.
const mostNoise = 0.99;

export class DirectAlign implements Method {
  readonly name = "direct-align";
  readonly window: Window;

  constructor(
    readonly options: DirectAlignOptions,
    readonly parts: DirectAlignParts,
  ) {
    this.window = new Window(options.window);
  }

  async *terms(batch: Batch): AsyncGenerator<Term> {
    const { rolloutSteps: steps, rolloutGuidance: guidance, window, injections } = this.options;
    const { parts } = this;
    const noise = parts.drawNoise(batch);
    const clean =
      batch.clean ??
      (await rollout(parts.policy, batch, noise, { steps, guidance, shift: window.shift }));
    const [low, high] = this.window.drawn;
    for (let i = 0; i < injections; ++i) {
      using scope = tensorScope();
      void scope;
      const indices = batch.samples.map((s) => parts.drawIndex(batch, s, low, high, i));
      yield range("denoise", () => this.#term(batch, clean, noise, indices));
    }
  }

  /** lambda at index `m`, which counts from the window's low-noise end. */
  discount(m: number): number {
    const { discountShift: s, window } = this.options;
    const t = m / window.length;
    return s === 0 ? 1 : (s * t) / (1 + (s - 1) * t);
  }

  #term(batch: Batch, clean: Tensor, noise: Tensor, indices: readonly number[]): Term {
    const plans = indices.map((m) => {
      const { from, to } = this.window.denoise(m);
      return { from, to: Math.min(to, mostNoise) };
    });
    const known = { clean, noise, features: batch.features };
    const { image } = recoverImage(this.parts, known, plans, this.options.guidance);
    const reward = plainReward(this.parts.reward, image, batch.captions);
    const each = -batch.share / (indices.length * this.options.injections);
    const weights = Float32Array.from(indices, (m) => each * this.discount(m));
    const loss = sum(mul(reward, tensor(weights, reward.shape, { device: reward.device })));
    return termOf("denoise", loss, reward);
  }
}
