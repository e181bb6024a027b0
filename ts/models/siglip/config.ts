import { ConfigReader } from "../../nn/config_reader.js";

/** Sizes of a SigLIP image tower and of the scoring head on it; see `siglipConfig`. */
export interface SiglipConfig {
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
  readonly mlp: number;
  readonly eps: number;
  readonly imageSize: number;
  readonly patchSize: number;
}

/** Widths of Aesthetic Predictor v2.5's linear layers after the tower's own; between them is nothing. */
export const aestheticHeadWidths: readonly number[] = [1024, 128, 64, 16, 1];

/** A SigLIP image tower and the linear layers that score its pooled output. */
export interface AestheticConfig {
  readonly tower: SiglipConfig;
  /** Widths of the linear layers after the tower's own. */
  readonly head: readonly number[];
}

/** Of pixels in [0, 1], a channel each. */
export const siglipMean: readonly number[] = [0.5, 0.5, 0.5];
export const siglipStd: readonly number[] = [0.5, 0.5, 0.5];

/** The tower's sizes; what is missing has transformers' own default (SiglipVisionConfig). */
function towerSizes(read: ConfigReader): SiglipConfig {
  read.oneOf("hidden_act", ["gelu_pytorch_tanh"], "gelu_pytorch_tanh");
  read.fixed("num_channels", 3);
  const width = read.count("hidden_size", 768);
  const heads = read.count("num_attention_heads", 12);
  if (width % heads !== 0) read.wrong("hidden_size", `a multiple of the ${heads} heads`, width);
  const config: SiglipConfig = {
    width,
    heads,
    layers: read.count("num_hidden_layers", 12),
    mlp: read.count("intermediate_size", 3072),
    eps: read.number("layer_norm_eps", 1e-6, { positive: true }),
    imageSize: read.count("image_size", 224),
    patchSize: read.count("patch_size", 16),
  };
  if (config.imageSize < config.patchSize)
    read.wrong("image_size", `at least one patch of ${config.patchSize}`, config.imageSize);
  return config;
}

/**
 * The sizes in a SigLIP vision config (google/siglip-so400m-patch14-384, its `vision_config`).
 *
 * @throws SrpoError ERR_CONFIG that names every wrong value
 */
export function siglipConfig(json: unknown): SiglipConfig {
  const read = new ConfigReader(json, "siglip vision config");
  const config = towerSizes(read);
  read.check();
  return config;
}

/**
 * The sizes of an aesthetic predictor from the config.json of its SigLIP: the whole model's, whose
 * `vision_config` counts, or the tower's alone; with `head_dims`, the widths of a head that is not v2.5's, the
 * tower's own first.
 *
 * @throws SrpoError ERR_CONFIG that names every wrong value
 */
export function aestheticConfig(json: unknown): AestheticConfig {
  const outer = new ConfigReader(json, "siglip config");
  const read = new ConfigReader(outer.object("vision_config") ?? json, "vision_config");
  const tower = towerSizes(read);
  const [width, ...head] = outer.counts("head_dims", [tower.width, ...aestheticHeadWidths]);
  if (width !== tower.width || head.at(-1) !== 1)
    outer.wrong("head_dims", `widths from the tower's ${tower.width} to 1`);
  outer.absorb(read);
  outer.check();
  return { tower, head };
}

/** Tokens of a picture; pixels that fill no patch are left out. */
export function siglipTokens({ imageSize, patchSize }: SiglipConfig): number {
  return Math.trunc(imageSize / patchSize) ** 2;
}
