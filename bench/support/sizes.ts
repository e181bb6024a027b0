// The sizes of benches on a device: FLUX.1-dev's own, or small ones that run the same code anywhere.
import { fluxAutoencoder, type AutoencoderConfig } from "../../ts/models/autoencoder/config.js";
import type { TwoTowerConfig } from "../../ts/models/clip/config.js";
import { fluxDev, hiddenSize, type FluxConfig } from "../../ts/models/flux/config.js";
import { vitH } from "../../ts/plan/rewards.js";

export interface PictureSize {
  /** "720 x 720" */
  name: string;
  latentHeight: number;
  latentWidth: number;
  /** Left out of the short run. */
  full: boolean;
}

export interface Sizes {
  name: "flux" | "tiny";
  transformer: FluxConfig;
  textLength: number;
  pictures: readonly PictureSize[];
  vae: AutoencoderConfig;
  reward: TwoTowerConfig;
  /** Of the optimizer's flat buffers. */
  parameters: number;
  rolloutSteps: number;
}

/** FLUX.1-dev with SRPO's recipe, and HPSv2.1. */
export const fluxSizes: Sizes = {
  name: "flux",
  transformer: fluxDev,
  textLength: 512,
  pictures: [
    { name: "720 x 720", latentHeight: 90, latentWidth: 90, full: false },
    { name: "1024 x 1024", latentHeight: 128, latentWidth: 128, full: true },
  ],
  vae: fluxAutoencoder,
  reward: vitH,
  parameters: 1_000_000_000,
  rolloutSteps: 25,
};

const tinyTower = { width: 64, layers: 1, heads: 1, mlp: 64, act: "gelu-erf", eps: 1e-5 } as const;

/** Everything of the above but its size: correctness of the benches, no figure. */
export const tinySizes: Sizes = {
  name: "tiny",
  transformer: {
    ...fluxDev,
    inChannels: 16,
    outChannels: 16,
    depth: 1,
    depthSingleBlocks: 1,
    heads: 1,
    headSize: 64,
    axes: [8, 28, 28],
    contextSize: 24,
    vectorSize: 16,
  },
  textLength: 8,
  pictures: [{ name: "16 x 16", latentHeight: 8, latentWidth: 8, full: false }],
  vae: { ...fluxAutoencoder, latentChannels: 4, channels: [16, 32], resnets: 1, groups: 8 },
  reward: {
    text: { ...tinyTower, vocabulary: 32, positions: 8, endToken: 31 },
    vision: { ...tinyTower, imageSize: 14, patchSize: 7, mean: [0.5, 0.5, 0.5], std: [1, 1, 1] },
    embedding: 32,
  },
  parameters: 3000,
  rolloutSteps: 2,
};

export const imageLength = ({ latentHeight, latentWidth }: PictureSize): number =>
  (latentHeight * latentWidth) / 4;

/** Text and image. */
export const jointLength = (sizes: Sizes, picture: PictureSize): number =>
  sizes.textLength + imageLength(picture);

export const hiddenOf = ({ transformer }: Sizes): number => hiddenSize(transformer);

/** A case of a picture's size: its place in the short run. */
export const fullOf = ({ full }: PictureSize): { full?: true } => (full ? { full: true } : {});
