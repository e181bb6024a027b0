import { ConfigReader } from "../../nn/config_reader.js";

/** Sizes of a FLUX transformer; see `fluxConfig`. */
export interface FluxConfig {
  /** Channels of a packed token, in and out: 64 for 16 latent channels in 2x2 patches. */
  readonly inChannels: number;
  readonly outChannels: number;
  readonly depth: number;
  readonly depthSingleBlocks: number;
  readonly heads: number;
  readonly headSize: number;
  /** Width of the T5 tokens. */
  readonly contextSize: number;
  /** Width of the pooled CLIP vector. */
  readonly vectorSize: number;
  /** Whether it takes the distilled guidance as an input: dev does, schnell does not. */
  readonly guidance: boolean;
  /** Channels of a head that each position axis turns; their sum is the head size. */
  readonly axes: readonly number[];
  readonly theta: number;
  readonly mlpRatio: number;
}

/** FLUX.1-dev, and with `guidance: false` FLUX.1-schnell. */
export const fluxDev: FluxConfig = {
  inChannels: 64,
  outChannels: 64,
  depth: 19,
  depthSingleBlocks: 38,
  heads: 24,
  headSize: 128,
  contextSize: 4096,
  vectorSize: 768,
  guidance: true,
  axes: [16, 56, 56],
  theta: 10000,
  mlpRatio: 4,
};

export function hiddenSize({ heads, headSize }: FluxConfig): number {
  return heads * headSize;
}

/**
 * The sizes in a transformer's config.json: diffusers' fields, or the parameters of BFL's class (which
 * has `hidden_size`).
 *
 * @throws SrpoError ERR_CONFIG that names every wrong value
 */
export function fluxConfig(json: unknown): FluxConfig {
  const read = new ConfigReader(json, "transformer config");
  const config = read.has("hidden_size") ? bflFields(read) : diffusersFields(read);
  const { axes, headSize } = config;
  const sum = axes.reduce((total, n) => total + n, 0);
  if (sum !== headSize || axes.some((n) => n % 2 !== 0) || axes.length !== 3)
    read.wrong(
      read.has("hidden_size") ? "axes_dim" : "axes_dims_rope",
      `three even sizes whose sum is the head size, ${headSize}`,
      axes,
    );
  read.check();
  return config;
}

/** The config.json that diffusers has for a transformer of these sizes. */
export function fluxConfigJson(config: FluxConfig) {
  return {
    _class_name: "FluxTransformer2DModel",
    patch_size: 1,
    in_channels: config.inChannels,
    out_channels: config.outChannels,
    num_layers: config.depth,
    num_single_layers: config.depthSingleBlocks,
    attention_head_dim: config.headSize,
    num_attention_heads: config.heads,
    joint_attention_dim: config.contextSize,
    pooled_projection_dim: config.vectorSize,
    guidance_embeds: config.guidance,
    axes_dims_rope: [...config.axes],
  };
}

function diffusersFields(read: ConfigReader): FluxConfig {
  read.fixed("patch_size", 1);
  const inChannels = read.count("in_channels", 64);
  return {
    inChannels,
    outChannels: read.count("out_channels", inChannels),
    depth: read.count("num_layers", fluxDev.depth, { zero: true }),
    depthSingleBlocks: read.count("num_single_layers", fluxDev.depthSingleBlocks, { zero: true }),
    heads: read.count("num_attention_heads", fluxDev.heads),
    headSize: read.count("attention_head_dim", fluxDev.headSize),
    contextSize: read.count("joint_attention_dim", fluxDev.contextSize),
    vectorSize: read.count("pooled_projection_dim", fluxDev.vectorSize),
    guidance: read.boolean("guidance_embeds", false),
    axes: read.counts("axes_dims_rope", fluxDev.axes),
    theta: fluxDev.theta,
    mlpRatio: fluxDev.mlpRatio,
  };
}

function bflFields(read: ConfigReader): FluxConfig {
  read.fixed("qkv_bias", true);
  const inChannels = read.count("in_channels");
  const heads = read.count("num_heads");
  const hidden = read.count("hidden_size");
  if (hidden % heads !== 0) read.wrong("hidden_size", `a multiple of num_heads, ${heads}`);
  return {
    inChannels,
    outChannels: read.count("out_channels", inChannels),
    depth: read.count("depth", undefined, { zero: true }),
    depthSingleBlocks: read.count("depth_single_blocks", undefined, { zero: true }),
    heads,
    headSize: hidden / heads,
    contextSize: read.count("context_in_dim"),
    vectorSize: read.count("vec_in_dim"),
    guidance: read.boolean("guidance_embed"),
    axes: read.counts("axes_dim"),
    theta: read.number("theta", undefined, { positive: true }),
    mlpRatio: read.number("mlp_ratio", undefined, { positive: true }),
  };
}
