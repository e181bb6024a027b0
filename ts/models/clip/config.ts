import { ConfigReader, isJsonObject, type JsonObject } from "../../nn/config_reader.js";

/** Of the MLPs; see `linear`. */
export type ClipActivation = "gelu-tanh" | "gelu-erf" | "quick-gelu";

/** One transformer of pre-norm blocks. */
export interface TowerConfig {
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
  readonly mlp: number;
  readonly act: ClipActivation;
  readonly eps: number;
}

export interface ClipTextConfig extends TowerConfig {
  readonly vocabulary: number;
  /** Most tokens a text may have. */
  readonly positions: number;
  /** The token whose row is the pooled one; 2 stands for the legacy rule, the largest id of the text. */
  readonly endToken: number;
}

export interface ClipVisionConfig extends TowerConfig {
  readonly imageSize: number;
  readonly patchSize: number;
  /** Of the normalisation of pixels in [0, 1], a channel each. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

export interface TwoTowerConfig {
  readonly text: ClipTextConfig;
  readonly vision: ClipVisionConfig;
  /** Width of the space that both towers are projected to. */
  readonly embedding: number;
}

const activations: Readonly<Record<string, ClipActivation>> = {
  quick_gelu: "quick-gelu",
  gelu: "gelu-erf",
  gelu_new: "gelu-tanh",
  gelu_pytorch_tanh: "gelu-tanh",
};
/** Of pixels in [0, 1], a channel each: CLIP's, and that of what was made after it. */
export const clipMean = [0.48145466, 0.4578275, 0.40821073];
export const clipStd = [0.26862954, 0.26130258, 0.27577711];

/** Patches of an image, the class token not counted. */
export function patchCount({ imageSize, patchSize }: ClipVisionConfig): number {
  return Math.trunc(imageSize / patchSize) ** 2;
}

function requireHeads(read: ConfigReader, widthKey: string, width: number, heads: number): void {
  if (width % heads !== 0) read.wrong(widthKey, `a multiple of the ${heads} heads`, width);
}

function hfTower(read: ConfigReader, defaults: TowerConfig): TowerConfig {
  const width = read.count("hidden_size", defaults.width);
  const heads = read.count("num_attention_heads", defaults.heads);
  requireHeads(read, "hidden_size", width, heads);
  return {
    width,
    heads,
    layers: read.count("num_hidden_layers", defaults.layers),
    mlp: read.count("intermediate_size", defaults.mlp),
    act: activations[read.oneOf("hidden_act", Object.keys(activations), "quick_gelu")]!,
    eps: read.number("layer_norm_eps", defaults.eps, { positive: true }),
  };
}

// transformers' own defaults, which a config.json may leave out.
const hfTextDefaults = {
  width: 512,
  layers: 12,
  heads: 8,
  mlp: 2048,
  act: "quick-gelu",
  eps: 1e-5,
} as const;
const hfVisionDefaults = { ...hfTextDefaults, width: 768, heads: 12, mlp: 3072 };

function hfText(read: ConfigReader): ClipTextConfig {
  return {
    ...hfTower(read, hfTextDefaults),
    vocabulary: read.count("vocab_size", 49408),
    positions: read.count("max_position_embeddings", 77),
    endToken: read.count("eos_token_id", 49407, { zero: true }),
  };
}

/**
 * The sizes in a text_encoder's config.json (transformers CLIPTextModel).
 *
 * @throws SrpoError ERR_CONFIG that names every wrong value
 */
export function clipTextConfig(json: unknown): ClipTextConfig {
  const read = new ConfigReader(json, "text_encoder config");
  const config = hfText(read);
  read.check();
  return config;
}

function parts(
  read: ConfigReader,
  textKeys: readonly string[],
  visionKeys: readonly string[],
): { text: ConfigReader; vision: ConfigReader } {
  const reader = (keys: readonly string[]) => {
    const part = read.object(...keys);
    if (part === undefined && !keys.some((key) => read.has(key))) read.wrong(keys[0]!, "an object");
    return new ConfigReader(part ?? {}, keys[0]!);
  };
  return { text: reader(textKeys), vision: reader(visionKeys) };
}

/**
 * The sizes in a transformers CLIPModel's config.json (PickScore).
 *
 * @throws SrpoError ERR_CONFIG that names every wrong value
 */
export function hfClipConfig(json: unknown): TwoTowerConfig {
  const read = new ConfigReader(json, "clip config");
  const { text, vision } = parts(read, ["text_config", "text"], ["vision_config", "vision"]);
  const config: TwoTowerConfig = {
    embedding: read.count("projection_dim", 512),
    text: hfText(text),
    vision: {
      ...hfTower(vision, hfVisionDefaults),
      imageSize: vision.count("image_size", 224),
      patchSize: vision.count("patch_size", 32),
      mean: clipMean,
      std: clipStd,
    },
  };
  return checked(read, text, vision, config);
}

/**
 * The sizes in an OpenCLIP config: an open_clip_config.json, or its `model_cfg` alone.
 *
 * @throws SrpoError ERR_CONFIG that names every wrong value
 */
export function openClipConfig(json: unknown): TwoTowerConfig {
  const outer: JsonObject = isJsonObject(json) ? json : {};
  const read = new ConfigReader(outer.model_cfg ?? json, "open_clip config");
  const images = new ConfigReader(outer.preprocess_cfg ?? {}, "preprocess_cfg");
  const { text, vision } = parts(read, ["text_cfg"], ["vision_cfg"]);
  read.fixed("gelu", "erf");
  const act: ClipActivation = read.boolean("quick_gelu", false) ? "quick-gelu" : "gelu-erf";
  const eps = read.number("layer_norm_eps", 1e-5, { positive: true });

  const width = text.count("width", 512);
  const heads = text.count("heads", 8);
  requireHeads(text, "width", width, heads);
  const visionWidth = vision.count("width", 768);
  const headWidth = vision.count("head_width", 64);
  if (visionWidth % headWidth !== 0)
    vision.wrong("width", `a multiple of head_width, ${headWidth}`, visionWidth);
  const config: TwoTowerConfig = {
    embedding: read.count("embed_dim"),
    text: {
      width,
      heads,
      layers: text.count("layers", 12),
      mlp: Math.trunc(width * text.number("mlp_ratio", 4, { positive: true })),
      act,
      eps,
      vocabulary: text.count("vocab_size", 49408),
      positions: text.count("context_length", 77),
      endToken: legacyEndToken,
    },
    vision: {
      width: visionWidth,
      heads: visionWidth / headWidth,
      layers: vision.count("layers", 12),
      mlp: Math.trunc(visionWidth * vision.number("mlp_ratio", 4, { positive: true })),
      act,
      eps,
      imageSize: vision.count("image_size", 224),
      patchSize: vision.count("patch_size", 16),
      mean: images.numbers("mean", 3, clipMean),
      std: images.numbers("std", 3, clipStd),
    },
  };
  read.absorb(images);
  return checked(read, text, vision, config);
}

/** The `endToken` that stands for the largest id of the text. */
export const legacyEndToken = 2;

function checked(
  read: ConfigReader,
  text: ConfigReader,
  vision: ConfigReader,
  config: TwoTowerConfig,
): TwoTowerConfig {
  const { imageSize, patchSize } = config.vision;
  if (imageSize < patchSize)
    vision.wrong("image_size", `at least one patch of ${patchSize}`, imageSize);
  read.absorb(text);
  read.absorb(vision);
  read.check();
  return config;
}
