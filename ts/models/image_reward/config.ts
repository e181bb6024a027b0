import { ConfigReader } from "../../nn/config_reader.js";

/** BLIP's image encoder. */
export interface BlipVisionConfig {
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
  readonly imageSize: number;
  readonly patchSize: number;
  readonly eps: number;
}

/** BERT with cross attention to the image's tokens. */
export interface BlipTextConfig {
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
  readonly mlp: number;
  readonly vocabulary: number;
  readonly positions: number;
  readonly eps: number;
}

/** Sizes of ImageReward: BLIP's image encoder, BERT with cross attention, and linear layers on its first token. */
export interface ImageRewardConfig {
  readonly vision: BlipVisionConfig;
  readonly text: BlipTextConfig;
  /** Widths of the linear layers, the text's own first. */
  readonly head: readonly number[];
}

// What ImageReward-v1.0.py builds in code beside med_config.json (BLIP "large" at 224).
const vision = { width: 1024, layers: 24, heads: 16, imageSize: 224, patchSize: 16, eps: 1e-6 };
const head = [1024, 128, 64, 16, 1];

/** ImageReward v1.0 (models.md 12): ViT-L/16 at 224 and BERT base. */
export const imageRewardV1: ImageRewardConfig = {
  vision,
  text: {
    width: 768,
    layers: 12,
    heads: 12,
    mlp: 3072,
    vocabulary: 30524,
    positions: 512,
    eps: 1e-12,
  },
  head: [768, ...head],
};

function requireHeads(read: ConfigReader, key: string, width: number, heads: number): void {
  if (width % heads !== 0) read.wrong(key, `a multiple of the ${heads} heads`, width);
}

function visionSizes(read: ConfigReader): BlipVisionConfig {
  const config: BlipVisionConfig = {
    width: read.count("embed_dim", vision.width),
    layers: read.count("depth", vision.layers),
    heads: read.count("num_heads", vision.heads),
    imageSize: read.count("img_size", vision.imageSize),
    patchSize: read.count("patch_size", vision.patchSize),
    eps: vision.eps,
  };
  requireHeads(read, "embed_dim", config.width, config.heads);
  if (config.imageSize % config.patchSize !== 0)
    read.wrong("img_size", `a multiple of the patch, ${config.patchSize}`, config.imageSize);
  return config;
}

function textSizes(read: ConfigReader): BlipTextConfig {
  const { text } = imageRewardV1;
  read.fixed("hidden_act", "gelu");
  const config: BlipTextConfig = {
    width: read.count("hidden_size", text.width),
    layers: read.count("num_hidden_layers", text.layers),
    heads: read.count("num_attention_heads", text.heads),
    mlp: read.count("intermediate_size", text.mlp),
    vocabulary: read.count("vocab_size", text.vocabulary),
    positions: read.count("max_position_embeddings", text.positions),
    eps: read.number("layer_norm_eps", text.eps, { positive: true }),
  };
  requireHeads(read, "hidden_size", config.width, config.heads);
  return config;
}

/**
 * The sizes in ImageReward's med_config.json, which are the text encoder's alone: the rest is v1.0's. For a
 * model of other sizes `{ txt, vis, mlp }` has all three.
 *
 * @throws SrpoError ERR_CONFIG that names every wrong value
 */
export function imageRewardConfig(json: unknown): ImageRewardConfig {
  const outer = new ConfigReader(json, "ImageReward config");
  const txt = new ConfigReader(outer.object("txt") ?? json, "txt");
  const vis = new ConfigReader(outer.object("vis") ?? {}, "vis");
  const config: ImageRewardConfig = {
    vision: visionSizes(vis),
    text: textSizes(txt),
    head: outer.counts("mlp", [txt.count("hidden_size", imageRewardV1.text.width), ...head]),
  };
  const { head: widths, text } = config;
  if (widths[0] !== text.width || widths.length !== 6 || widths[5] !== 1)
    outer.wrong("mlp", `six widths from the text's ${text.width} to 1`, widths);
  outer.absorb(txt);
  outer.absorb(vis);
  outer.check();
  return config;
}
