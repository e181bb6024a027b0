// What the alignment methods share: what they are given, and what they yield.
import type { Tensor } from "../tensor/tensor.js";

/** A batch of prompts as the policy reads them. */
export interface PromptFeatures {
  /** [B, Lt, Dt], the sequence encoder's hidden states */
  txt: Tensor;
  /** [B, Dp], the pooled text vector */
  pooled: Tensor;
}

/** The model in training (or a frozen reference): a velocity field, noise minus clean. */
export interface Policy {
  /**
   * @param latents - [B, L, 4C] packed, float32
   * @param sigmas - one noise level a sample, in [0, 1]
   * @param guidance - the distilled guidance input; ignored by a model without one
   * @returns [B, L, 4C], the model's dtype
   */
  velocity(
    latents: Tensor,
    sigmas: readonly number[],
    features: PromptFeatures,
    guidance: number,
  ): Tensor;

  /**
   * Velocities at these noise levels, each the same for all samples and none of them with a gradient, are what is
   * asked for next: makes what they share at once, for as long as the weights stay. Disposing of it ends that.
   */
  ahead?(sigmas: readonly number[], features: PromptFeatures, guidance: number): Disposable;
}

/** Latents to pictures; differentiable. */
export interface LatentDecoder {
  /** Of the latents, before packing. */
  readonly height: number;
  readonly width: number;
  readonly scalingFactor: number;
  readonly shiftFactor: number;
  /**
   * @param latent - [B, h, w, C], the decoder's own scale
   * @returns [B, H, W, 3], about [-1, 1], not clamped
   */
  decode(latent: Tensor): Tensor;
}

/** Scores pictures against wanted and unwanted text; differentiable in the picture. */
export interface RelativeReward {
  /** Normalised text features [B, E] of prompts, cached; frees nothing. */
  textFeatures(prompts: readonly string[]): Tensor;
  /**
   * `scale * phi(image) . ((1 + k) wanted - unwanted)`, a value a sample.
   *
   * @param image - [B, H, W, 3] in [0, 1]
   * @param k - one a sample
   */
  score(image: Tensor, wanted: Tensor, unwanted: Tensor, k: readonly number[]): Tensor;
}

/** Scores pictures, or pictures and captions, as a whole: it has no text to want or not. */
export interface PlainReward {
  /**
   * A value a sample, [B] float32; differentiable in the picture.
   *
   * @param image - [B, H, W, 3] in [0, 1]
   * @param captions - one a picture
   */
  plain(image: Tensor, captions: readonly string[]): Tensor;
}

export type Reward = RelativeReward | PlainReward;

/** The models that a method which scores pictures works with. */
export interface RewardParts<R extends Reward = Reward> {
  policy: Policy;
  decoder: LatentDecoder;
  reward: R;
}

/** What one call of a method works on: some of an update's prompts. */
export interface Batch {
  /** The update, counted from 1. */
  step: number;
  /** Which of the update's optimizer steps, counted from 0; see `Method.passes`. */
  pass: number;
  captions: readonly string[];
  features: PromptFeatures;
  /** Place of each prompt in the update, the key of what is drawn for it; the same on any ranks. */
  samples: readonly number[];
  /** These prompts' share of the update: prompts here / prompts of the update over all ranks. */
  share: number;
  /** Clean packed latents [B, L, 4C] float32 of real pictures, for offline training. */
  clean?: Tensor;
}

/** A part of the update's loss. The trainer differentiates it and frees its tape before the next. */
export interface Term {
  name: string;
  /** [1]; the update's gradient is the sum of all terms' gradients. */
  loss: Tensor;
  /** Values to log, averaged over the update's terms of one name. */
  metrics: Readonly<Record<string, Tensor | number>>;
}

/**
 * A method, told what to work with: yields the loss terms of a batch, rollouts included. An update is
 * `passes` optimizer steps, each from the sum of all batches' terms. How others fit:
 *
 *   DRaFT, ReFL  terms: a rollout whose last steps are recorded, -R of its end; LV: one more a renoising
 *   GRPO         collect: each prompt's group of rollouts with log densities and advantages, all groups
 *                before any term, as a spread over the update needs; terms: of the pass's images
 *   SPO, SDPO    collect: the pairs along rollouts, kept or scored; terms: one a pair and step
 *   DPO          terms: of a winner and a loser, clean latents both; the reference is one of its parts
 */
export interface Method {
  readonly name: string;
  /** Optimizer steps that one update's rollouts serve (DanceGRPO: 3). Default 1. */
  readonly passes?: number;
  /**
   * Before the first pass, once a batch: gathers what the terms of all passes share. What is made here
   * lives to the end of the update.
   */
  collect?(batch: Batch): Promise<void>;
  /**
   * After the last of them: what has to be known of all of an update's prompts is agreed with the other ranks.
   *
   * @param gather - every rank's value, in the order of the ranks, whose prompts go on from one to the next
   */
  collected?(gather: <T>(mine: T) => Promise<T[]>): Promise<void>;
  /** Asked once a batch and pass. */
  terms(batch: Batch): AsyncIterable<Term>;
}
