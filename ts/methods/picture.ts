// What methods do with the end of a rollout: a picture of it, and the plain reward of that.
import { range } from "../native/ranges.js";
import { affine, clamp, unpackLatent } from "../ops/index.js";
import { zeros, type Tensor } from "../tensor/tensor.js";
import type { LatentDecoder, Reward } from "./method.js";

/**
 * Pictures of latents, `clamp(0.5 D(latents / scalingFactor + shiftFactor) + 0.5, 0, 1)`; differentiable.
 *
 * @param latents - [B, L, 4C] packed, scaled as the policy sees them
 * @returns [B, H, W, 3] in [0, 1], the decoder's dtype
 */
export function pictureOf(decoder: LatentDecoder, latents: Tensor): Tensor {
  const { scalingFactor, shiftFactor } = decoder;
  const latent = affine(unpackLatent(latents, decoder), 1 / scalingFactor, shiftFactor);
  return inUnitRange(decoder.decode(latent));
}

/** What a decoder gives, about [-1, 1], in [0, 1]; no gradient where it clamps. */
export function inUnitRange(decoded: Tensor): Tensor {
  return clamp(affine(decoded, 0.5, 0.5), 0, 1);
}

/**
 * The reward of pictures for their captions, [B] float32; of a relative one `scale * phi(image) . C(caption)`,
 * with nothing unwanted and k 0. Differentiable in the picture.
 *
 * @param image - [B, H, W, 3] in [0, 1]
 * @param captions - one a picture
 */
export function plainReward(reward: Reward, image: Tensor, captions: readonly string[]): Tensor {
  if ("plain" in reward) return range("reward", () => reward.plain(image, captions));
  const wanted = reward.textFeatures(captions);
  const none = zeros(wanted.shape, wanted);
  return reward.score(
    image,
    wanted,
    none,
    captions.map(() => 0),
  );
}
