// Floating-point operations of the models, 2 a multiply-add, a picture: kernels.md 2.1.
import { downsampling, type AutoencoderConfig } from "../models/autoencoder/config.js";
import {
  patchCount,
  type ClipTextConfig,
  type TowerConfig,
  type TwoTowerConfig,
} from "../models/clip/config.js";
import { hiddenSize, type FluxConfig } from "../models/flux/config.js";
import { mlpSize } from "../models/flux/parameters.js";
import type { T5Config } from "../models/t5/config.js";
import { imageTokens, type Picture } from "./activations.js";

/** Operations by the family of kernels that does them. */
export interface Work {
  gemm: number;
  attention: number;
  attentionBackward: number;
  convolution: number;
}

const none: Work = { gemm: 0, attention: 0, attentionBackward: 0, convolution: 0 };

/** Sum of parts, each so many times. */
export function workSum(...parts: readonly (readonly [times: number, work: Work])[]): Work {
  const sum = { ...none };
  for (const [times, work] of parts)
    for (const family of Object.keys(sum) as (keyof Work)[]) sum[family] += times * work[family];
  return sum;
}

/** Two products of [L, W] with [W, L]: q kT and p v. */
const attention = (L: number, W: number) => 4 * L * L * W;

/** One forward of the transformer. */
export function fluxForward(config: FluxConfig, picture: Picture): Work {
  const [D, M] = [hiddenSize(config), mlpSize(config)];
  const { depth, depthSingleBlocks } = config;
  const Li = imageTokens(picture);
  const S = picture.textLength + Li;
  const double = 2 * S * (4 * D * D + 2 * D * M) + 2 * 2 * 6 * D * D;
  const single = 2 * S * (D * (3 * D + M) + (D + M) * D) + 2 * 3 * D * D;
  const ends =
    2 *
    (Li * D * (config.inChannels + config.outChannels) +
      picture.textLength * config.contextSize * D);
  return {
    ...none,
    gemm: depth * double + depthSingleBlocks * single + ends,
    attention: (depth + depthSingleBlocks) * attention(S, D),
  };
}

/** Backward with gradients of inputs and weights: each product twice; attention's five for two. */
export function backwardOf(
  { gemm, attention: forward, convolution }: Work,
  weights: boolean,
): Work {
  const times = weights ? 2 : 1;
  return {
    gemm: times * gemm,
    convolution: times * convolution,
    attention: 0,
    attentionBackward: 2.5 * forward,
  };
}

/** One forward of the VAE's decoder. */
export function decoderForward(config: AutoencoderConfig, picture: Picture): Work {
  const { channels, resnets, latentChannels, imageChannels } = config;
  const widest = channels.at(-1)!;
  let pixels = picture.latentHeight * picture.latentWidth;
  let convolution = 0;
  const conv = (from: number, to: number, kernel = 9) => {
    convolution += 2 * pixels * kernel * from * to;
  };
  const resnet = (from: number, to: number) => {
    conv(from, to);
    conv(to, to);
    if (from !== to) conv(from, to, 1);
  };
  conv(latentChannels, widest);
  resnet(widest, widest);
  const gemm = 2 * pixels * 4 * widest * widest;
  const middle = attention(pixels, widest);
  resnet(widest, widest);
  let from = widest;
  for (let level = channels.length - 1; level >= 0; --level) {
    const to = channels[level]!;
    for (let j = 0; j <= resnets; ++j) resnet(j === 0 ? from : to, to);
    from = to;
    if (level === 0) break;
    pixels *= 4;
    conv(to, to);
  }
  conv(from, imageChannels);
  return { ...none, gemm, attention: middle, convolution };
}

function tower({ width, mlp, layers }: TowerConfig, tokens: number): Work {
  return {
    ...none,
    gemm: layers * 2 * tokens * (4 * width * width + 2 * width * mlp),
    attention: layers * attention(tokens, width),
  };
}

/** One picture through a reward's image tower. */
export function imageTower({ vision, embedding }: TwoTowerConfig): Work {
  const { width, patchSize } = vision;
  const patches = { ...none, gemm: 2 * patchCount(vision) * 3 * patchSize ** 2 * width };
  const projection = { ...none, gemm: 2 * width * embedding };
  return workSum([1, tower(vision, patchCount(vision) + 1)], [1, patches], [1, projection]);
}

/** One text through a CLIP text tower. */
export function textTower(config: ClipTextConfig): Work {
  return tower(config, config.positions);
}

/** One prompt through T5. */
export function t5Forward({ width, heads, headSize, mlp, layers }: T5Config, length: number): Work {
  const inner = heads * headSize;
  return {
    ...none,
    gemm: layers * 2 * length * (4 * width * inner + 3 * width * mlp),
    attention: layers * attention(length, inner),
  };
}

/** Latent pixels of a picture. */
export function latentSize(
  config: AutoencoderConfig,
  { height, width }: { height: number; width: number },
): { latentHeight: number; latentWidth: number } {
  const factor = downsampling(config);
  return { latentHeight: height / factor, latentWidth: width / factor };
}
