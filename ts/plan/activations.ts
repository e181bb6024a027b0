// What stands in memory of one forward and backward: the outputs and statistics that the tape keeps, op by
// op, as ts/models write them. Elements of the run's dtype; statistics are float32. A few numbers a sample
// (sinusoids, scores) are left out.
import type { AutoencoderConfig } from "../models/autoencoder/config.js";
import { downsampling } from "../models/autoencoder/config.js";
import { patchCount, type ClipVisionConfig } from "../models/clip/config.js";
import { hiddenSize, type FluxConfig } from "../models/flux/config.js";
import { mlpSize } from "../models/flux/parameters.js";

/** Bytes that one part of a step holds. */
export interface Held {
  /** From forward to the end of backward. */
  kept: number;
  /** While its most hungry block runs backward, beyond `kept`: what is made again, and gradients. */
  passing: number;
}

export interface Picture {
  /** Pictures in one forward. */
  samples: number;
  /** Of a latent, before packing in 2x2. */
  latentHeight: number;
  latentWidth: number;
  textLength: number;
  /** Bytes of an activation: 2 or 4. */
  bytes: number;
}

/** Packed tokens of a picture. */
export function imageTokens({ latentHeight, latentWidth }: Picture): number {
  return (latentHeight * latentWidth) / 4;
}

/** One double block's outputs a sample. */
function doubleBlock(config: FluxConfig, picture: Picture): number {
  const [D, M] = [hiddenSize(config), mlpSize(config)];
  const text = picture.textLength;
  const S = text + imageTokens(picture);
  const copies = picture.samples > 1 ? 1 : 0; // a part of several samples' rows is a copy
  const stats = (4 / picture.bytes) * (2 * 2 * S + 3 * config.heads * S);
  // a token: two norms, qkv, and twice a gated linear with what its gate reads; the MLP before and after gelu
  const streams = S * (2 * D + 3 * D + 2 * 2 * D + 2 * M);
  const joint = S * ((3 + 1 + copies) * D);
  const modulation = 2 * (1 + copies) * 6 * D;
  return streams + joint + modulation + stats;
}

function singleBlock(config: FluxConfig, picture: Picture): number {
  const [D, M] = [hiddenSize(config), mlpSize(config)];
  const S = picture.textLength + imageTokens(picture);
  const copies = picture.samples > 1 ? 1 : 0;
  const stats = (4 / picture.bytes) * (2 * S + 3 * config.heads * S);
  // norm, qkv, q k v, the MLP before gelu, attention beside the MLP after it, the gated linear twice
  return S * ((1 + 3 + 3) * D + M + (D + M) + 2 * D) + 3 * (1 + copies) * D + stats;
}

/**
 * The transformer.
 *
 * @param options.recompute - blocks that run again in backward: all, none or the first so many
 * @param options.chain - forwards on the tape at once
 * @see ts/models/flux/layers.ts
 */
export function fluxHeld(
  config: FluxConfig,
  picture: Picture,
  { recompute, chain = 1 }: { recompute: boolean | number; chain?: number },
): Held {
  const { samples, bytes, textLength } = picture;
  const [D, M] = [hiddenSize(config), mlpSize(config)];
  const Li = imageTokens(picture);
  const S = textLength + Li;
  const double = doubleBlock(config, picture);
  const single = singleBlock(config, picture);
  const { depth, depthSingleBlocks } = config;
  const most = recompute === true ? Infinity : Number(recompute);
  const doubles = Math.min(most, depth); // of the blocks that run again
  const singles = Math.min(Math.max(most - depth, 0), depthSingleBlocks);
  const largest = Math.max(doubles > 0 ? double : 0, singles > 0 ? single : 0);
  // img_in, txt_in, their concatenation, the image's part, its norm, in and out
  const ends = S * D + S * D + (samples > 1 ? 2 : 1) * Li * D + 3 * Li * config.inChannels;
  const whole = (depth - doubles) * double + (depthSingleBlocks - singles) * single;
  const blocks = (doubles + singles) * S * D + whole;
  // of a single block: the residual's before and behind the gate, attention's and the MLP's; or, when the MLP's
  // is done, the residual's, attention's, the norm's, q k v, and float sums of q's, on the cpu in parts
  const parts = Math.min(Math.ceil(32 / (samples * config.heads)), Math.ceil(S / 128));
  const gradients = S * Math.max(3 * D + M, 6 * D + (4 / bytes) * parts * D);
  const passing = gradients + largest; // what is kept stays to the end of backward
  return {
    kept: chain * samples * bytes * (ends + blocks),
    passing: samples * bytes * passing,
  };
}

/** A resnet's outputs a sample: two norms, two convolutions, and the shortcut where the width changes. */
function resnet(pixels: number, from: number, to: number): { outputs: number; gradients: number } {
  return {
    outputs: pixels * (from + 3 * to + (from === to ? 0 : to)),
    gradients: pixels * (2 * from + 2 * to),
  };
}

interface Block {
  /** Elements a sample: everything it makes, what leaves it, gradients on the way back. */
  outputs: number;
  leaves: number;
  gradients: number;
}

/** The decoder's blocks in the order of the forward pass. @see ts/models/autoencoder/model.ts */
function decoderBlocks(config: AutoencoderConfig, { latentHeight, latentWidth }: Picture): Block[] {
  const { channels, resnets } = config;
  const widest = channels.at(-1)!;
  const blocks: Block[] = [];
  let pixels = latentHeight * latentWidth;
  const add = (from: number, to: number) =>
    blocks.push({ ...resnet(pixels, from, to), leaves: pixels * to });
  add(widest, widest);
  // norm, qkv, q k v, attention, its projection
  const attention = pixels * widest;
  blocks.push({ outputs: 9 * attention, leaves: attention, gradients: 8 * attention });
  add(widest, widest);
  let from = widest;
  for (let level = channels.length - 1; level >= 0; --level) {
    const to = channels[level]!;
    for (let j = 0; j <= resnets; ++j) add(j === 0 ? from : to, to);
    from = to;
    if (level === 0) break;
    pixels *= 4;
    const grown = pixels * to;
    blocks.push({ outputs: grown, leaves: grown, gradients: 1.25 * grown });
  }
  return blocks;
}

/** The VAE's decoder and the picture. */
export function decoderHeld(
  config: AutoencoderConfig,
  picture: Picture,
  { recompute }: { recompute: boolean },
): Held {
  const { samples, bytes, latentHeight, latentWidth } = picture;
  const blocks = decoderBlocks(config, picture);
  const first = latentHeight * latentWidth * (config.latentChannels + config.channels.at(-1)!);
  const pixels = latentHeight * latentWidth * downsampling(config) ** 2;
  // norm_out, then the picture as it is, scaled and clamped
  const last = pixels * (config.channels[0]! + 3 * config.imageChannels);
  const kept = blocks.reduce((sum, b) => sum + (recompute ? b.leaves : b.outputs), first + last);
  const passing = blocks.map((b) => b.gradients + (recompute ? b.outputs : 0));
  const head = pixels * (2 * config.channels[0]! + config.imageChannels);
  return {
    kept: samples * bytes * kept,
    passing: samples * bytes * Math.max(head, ...passing),
  };
}

/** The image tower of a reward, whose blocks are kept. @see ts/models/clip/layers.ts */
export function towerHeld(config: ClipVisionConfig, { samples, bytes }: Picture): Held {
  const { width, mlp, heads, layers, imageSize } = config;
  const tokens = patchCount(config) + 1;
  const stats = (4 / bytes) * (4 + 3 * heads);
  // two norms, qkv, q k v, attention, two linears; the MLP before and after its activation
  const block = tokens * (11 * width + 2 * mlp + stats);
  const ends = 2 * 3 * imageSize ** 2 + 4 * tokens * width;
  return {
    kept: samples * bytes * (layers * block + ends),
    passing: samples * bytes * tokens * (6 * width + 2 * mlp),
  };
}
