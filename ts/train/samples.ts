import { noGrad } from "../autograd/tape.js";
import { gridOf, picturesOf } from "../data/grid.js";
import type { Picture } from "../data/png.js";
import type { LatentDecoder, Policy, PromptFeatures } from "../methods/method.js";
import { pictureOf } from "../methods/picture.js";
import { denoise } from "../sampler/denoise.js";
import { tensorScope } from "../tensor/scope.js";
import type { Tensor } from "../tensor/tensor.js";

export interface SampleOptions {
  sigmas: Float32Array;
  guidance: number;
  onStep?: (done: number) => void;
}

/**
 * Pictures of a policy from given noise.
 *
 * @param noise - [B, L, 4C] float32, packed
 * @returns [B, H, W, 3] in [0, 1], in the caller's scope
 */
export async function sampleImages(
  policy: Policy,
  decoder: LatentDecoder,
  features: PromptFeatures,
  noise: Tensor,
  { sigmas, guidance, onStep }: SampleOptions,
): Promise<Tensor> {
  using ahead = policy.ahead?.([...sigmas.subarray(0, -1)], features, guidance);
  void ahead;
  using scope = tensorScope();
  const velocity = (x: Tensor, sigma: number) => {
    const all = Array.from({ length: noise.dim(0) }, () => sigma);
    return policy.velocity(x, all, features, guidance);
  };
  const clean = await denoise(velocity, noise, sigmas, onStep === undefined ? {} : { onStep });
  return scope.keep(noGrad(() => pictureOf(decoder, clean)));
}

/** Columns of a grid of so many pictures: about a square. */
export function gridColumns(count: number): number {
  return Math.ceil(Math.sqrt(count));
}

/** Pictures [B, H, W, 3] as one, in about a square. */
export async function gridOfImages(images: Tensor): Promise<Picture> {
  const pictures = await picturesOf(images);
  return gridOf(pictures, gridColumns(pictures.length));
}
