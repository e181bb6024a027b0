// Losses that raise the plain reward of a clean latent: what ReFL and DRaFT climb, and are hacked by.
import { noGrad } from "../autograd/tape.js";
import { affine, hinge, mean } from "../ops/index.js";
import type { Tensor } from "../tensor/tensor.js";
import type { Batch, RewardParts, Term } from "./method.js";
import { pictureOf, plainReward } from "./picture.js";

export interface RewardLossOptions {
  /** `hinge`: relu(margin - R), which lets go of a picture that is good enough. `linear`: -R. */
  map: "hinge" | "linear";
  /** Of the hinge: 0.55 with HPS on FLUX, 2 with ImageReward. */
  margin: number;
  /** Factor of the loss (grad_scale of the original ReFL: 1e-3); AdamW and the clip see little of it. */
  scale: number;
}

/** A term that logs its loss and its mean reward. */
export function termOf(name: string, loss: Tensor, reward: Tensor): Term {
  return { name, loss, metrics: { loss, reward: noGrad(() => mean(reward)) } };
}

/**
 * The term of clean latents: decoded, scored against their captions, and mapped to a loss.
 *
 * @param clean - [B, L, 4C] packed, with the gradient that the method lets through
 * @param options.share - of the update: the batch's, divided by the terms that a prompt has
 */
export function rewardTerm(
  name: string,
  { decoder, reward }: Pick<RewardParts, "decoder" | "reward">,
  { captions }: Pick<Batch, "captions">,
  clean: Tensor,
  { map, margin, scale, share }: RewardLossOptions & { share: number },
): Term {
  const score = plainReward(reward, pictureOf(decoder, clean), captions);
  const weight = scale * share;
  const loss = map === "hinge" ? hinge(score, { margin, weight }) : affine(mean(score), -weight, 0);
  return termOf(name, loss, score);
}
