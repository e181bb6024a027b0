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

/**
 * The sizes in a SigLIP vision config (google/siglip-so400m-patch14-384, its `vision_config`).
 *
 * @throws SrpoError ERR_CONFIG that names every wrong value
 */
export function siglipConfig(json: unknown): SiglipConfig {
  const read = new ConfigReader(json, "siglip vision config");
  read.oneOf("hidden_act", ["gelu_pytorch_tanh"]);
  read.fixed("num_channels", 3);
  const width = read.count("hidden_size");
  const heads = read.count("num_attention_heads");
  if (width % heads !== 0) read.wrong("hidden_size", `a multiple of the ${heads} heads`, width);
  const config: SiglipConfig = {
    width,
    heads,
    layers: read.count("num_hidden_layers"),
    mlp: read.count("intermediate_size"),
    eps: read.number("layer_norm_eps", 1e-6, { positive: true }),
    imageSize: read.count("image_size"),
    patchSize: read.count("patch_size"),
  };
  read.check();
  return config;
}

/** Tokens of a picture; pixels that fill no patch are left out. */
export function siglipTokens({ imageSize, patchSize }: SiglipConfig): number {
  return Math.trunc(imageSize / patchSize) ** 2;
}
