import { ConfigReader } from "../../nn/config_reader.js";

/** Sizes of an AutoencoderKL; see `autoencoderConfig`. */
export interface AutoencoderConfig {
  readonly imageChannels: number;
  readonly latentChannels: number;
  /** Channels at each resolution, the full one first; each further one has half the side. */
  readonly channels: readonly number[];
  /** Resnets a resolution in the encoder; the decoder has one more. */
  readonly resnets: number;
  readonly groups: number;
  /** Latents as the transformer sees them: (z - shift) * scaling. */
  readonly scalingFactor: number;
  readonly shiftFactor: number;
}

/** The autoencoder of FLUX.1. */
export const fluxAutoencoder: AutoencoderConfig = {
  imageChannels: 3,
  latentChannels: 16,
  channels: [128, 256, 512, 512],
  resnets: 2,
  groups: 32,
  scalingFactor: 0.3611,
  shiftFactor: 0.1159,
};

/** How many pixels a side one latent stands for. */
export function downsampling({ channels }: AutoencoderConfig): number {
  return 2 ** (channels.length - 1);
}

/**
 * The sizes in a vae's config.json: diffusers' fields, or the parameters of BFL's class (which has
 * `ch_mult`).
 *
 * @throws SrpoError ERR_CONFIG that names every wrong value
 */
export function autoencoderConfig(json: unknown): AutoencoderConfig {
  const read = new ConfigReader(json, "vae config");
  const bfl = read.has("ch_mult");
  const config = bfl ? bflFields(read) : diffusersFields(read);
  const uneven = config.channels.filter((n) => n % config.groups !== 0);
  if (uneven.length > 0)
    read.wrong(
      bfl ? "ch" : "block_out_channels",
      `multiples of the ${config.groups} groups of the norms`,
      config.channels,
    );
  read.check();
  return config;
}

function diffusersFields(read: ConfigReader): AutoencoderConfig {
  const channels = read.counts("block_out_channels");
  for (const [key, type] of [
    ["down_block_types", "DownEncoderBlock2D"],
    ["up_block_types", "UpDecoderBlock2D"],
  ] as const) {
    const types = read.strings(
      key,
      channels.map(() => type),
    );
    if (types.length !== channels.length || types.some((t) => t !== type))
      read.wrong(key, `${channels.length} times ${type}, one for each of block_out_channels`);
  }
  read.fixed("act_fn", "silu");
  read.fixed("mid_block_add_attention", true);
  read.fixed("latents_mean", null);
  read.fixed("latents_std", null);
  // Both default to true in diffusers; FLUX turns them off.
  for (const key of ["use_quant_conv", "use_post_quant_conv"])
    if (read.boolean(key, true)) read.wrong(key, "false");
  const imageChannels = read.count("in_channels", 3);
  read.fixed("out_channels", imageChannels);
  return {
    imageChannels,
    latentChannels: read.count("latent_channels"),
    channels,
    resnets: read.count("layers_per_block"),
    groups: read.count("norm_num_groups", 32),
    scalingFactor: read.number("scaling_factor", undefined, { positive: true }),
    shiftFactor: read.number("shift_factor", 0),
  };
}

function bflFields(read: ConfigReader): AutoencoderConfig {
  const width = read.count("ch");
  const imageChannels = read.count("in_channels", 3);
  read.fixed("out_ch", imageChannels);
  return {
    imageChannels,
    latentChannels: read.count("z_channels"),
    channels: read.counts("ch_mult").map((multiple) => multiple * width),
    resnets: read.count("num_res_blocks"),
    groups: 32,
    scalingFactor: read.number("scale_factor", undefined, { positive: true }),
    shiftFactor: read.number("shift_factor"),
  };
}
