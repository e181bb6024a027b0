import { runBlock } from "../../nn/block.js";
import { ParameterSet, type ParameterSetOptions } from "../../nn/parameter_set.js";
import { add, affine, cast, clamp, exp, mul, scale, split } from "../../ops/index.js";
import type { Tensor } from "../../tensor/tensor.js";
import type { AutoencoderConfig } from "./config.js";
import {
  convolution,
  downsample,
  head,
  pixelAttention,
  resnet,
  upsample,
  type Pixels,
} from "./layers.js";
import { autoencoderParameters, type AutoencoderPart } from "./parameters.js";

export interface AutoencoderOptions {
  /** Run each block again in backward instead of keeping what it saves. Default false. */
  readonly recompute?: boolean;
  /** Called with what stands between the blocks, for a comparison. */
  readonly trace?: ((name: string, t: Tensor) => void) | undefined;
}

const present = (pixels: Pixels): Tensor[] => pixels.filter((t) => t !== undefined);

/** What the encoder says of a latent: a normal distribution a pixel, [B, H/f, W/f, C] each. */
export interface LatentMoments {
  readonly moments: Tensor;
  readonly mean: Tensor;
  /** Clamped to [-30, 20]. */
  readonly logVariance: Tensor;
}

/** The AutoencoderKL of FLUX.1, channels last: images [B, H, W, 3] in [-1, 1], latents [B, H/8, W/8, 16]. */
export class Autoencoder {
  readonly config: AutoencoderConfig;
  readonly parameters: ParameterSet;

  constructor(
    config: AutoencoderConfig,
    {
      parts = ["encoder", "decoder"],
      ...options
    }: ParameterSetOptions & { parts?: readonly AutoencoderPart[] } = {},
  ) {
    this.config = config;
    this.parameters = ParameterSet.create(autoencoderParameters(config, parts), options);
  }

  /** A distribution over latents (not yet scaled for the transformer). */
  encode(image: Tensor, options: AutoencoderOptions = {}): LatentMoments {
    const { config, parameters: w } = this;
    const { groups, channels } = config;
    const run = this.#runner(options);
    let x = convolution(w, "encoder.conv_in", cast(image, this.parameters.dtype), groups);
    options.trace?.("conv_in", x[0]);
    channels.forEach((_, level) => {
      const name = `encoder.down.${level}`;
      const isLast = level === channels.length - 1;
      for (let j = 0; j < config.resnets; ++j) {
        const beforeNorm = isLast || j < config.resnets - 1;
        const block = `${name}.block.${j}`;
        x = run((t) => resnet(w, block, groups, t, { beforeNorm }), x, block);
      }
      if (!isLast) x = run((t) => downsample(w, name, groups, t), x, `${name}.downsample`);
      options.trace?.(`down.${level}`, x[0]);
    });
    x = this.#middle("encoder", x, run, options);
    const moments = head(w, "encoder", groups, x);
    const [mean, logVariance] = split(moments, 3, 2);
    return { moments, mean: mean!, logVariance: clamp(logVariance!, -30, 20) };
  }

  /** mean + exp(logVariance / 2) * noise. */
  sample({ mean, logVariance }: LatentMoments, noise: Tensor): Tensor {
    return add(mean, mul(exp(scale(logVariance, 0.5)), noise));
  }

  /** Latents as the transformer sees them: (z - shift) * scaling. */
  toNetwork(z: Tensor): Tensor {
    const { scalingFactor, shiftFactor } = this.config;
    return affine(z, scalingFactor, -shiftFactor * scalingFactor);
  }

  /** The inverse of `toNetwork`; `recover` has it folded in. */
  fromNetwork(scaled: Tensor): Tensor {
    const { scalingFactor, shiftFactor } = this.config;
    return affine(scaled, 1 / scalingFactor, shiftFactor);
  }

  /** An image in about [-1, 1], not clamped, from latents that are not scaled. */
  decode(z: Tensor, options: AutoencoderOptions = {}): Tensor {
    const { config, parameters: w } = this;
    const { groups, channels } = config;
    const run = this.#runner(options);
    let x = convolution(w, "decoder.conv_in", cast(z, this.parameters.dtype), groups);
    options.trace?.("conv_in", x[0]);
    x = this.#middle("decoder", x, run, options);
    for (let level = channels.length - 1; level >= 0; --level) {
      const name = `decoder.up.${level}`;
      for (let j = 0; j <= config.resnets; ++j) {
        const beforeNorm = level === 0 || j < config.resnets;
        const block = `${name}.block.${j}`;
        x = run((t) => resnet(w, block, groups, t, { beforeNorm }), x, block);
      }
      if (level > 0) x = run((t) => upsample(w, name, groups, t), x, `${name}.upsample`);
      options.trace?.(`up.${channels.length - 1 - level}`, x[0]);
    }
    return head(w, "decoder", groups, x);
  }

  #middle(
    part: AutoencoderPart,
    x: Pixels,
    run: (layer: (x: Pixels) => Pixels, x: Pixels, name: string) => Pixels,
    { trace }: AutoencoderOptions,
  ): Pixels {
    const { groups } = this.config;
    const name = `${part}.mid`;
    const w = this.parameters;
    const beforeNorm = true;
    const [block1, block2, attn] = [`${name}.block_1`, `${name}.block_2`, `${name}.attn_1`];
    const first = run((t) => resnet(w, block1, groups, t, { beforeNorm }), x, block1);
    trace?.("mid_resnet0", first[0]);
    const seen = run((t) => [pixelAttention(w, attn, groups, t)], first, attn);
    trace?.("mid_attn", seen[0]);
    const last = run((t) => resnet(w, block2, groups, t, { beforeNorm }), seen, block2);
    trace?.("mid_block", last[0]);
    return last;
  }

  #runner({ recompute = false, trace }: AutoencoderOptions) {
    const settings = {
      recompute: recompute && trace === undefined,
      trainable: this.parameters.trainable,
    };
    return (layer: (x: Pixels) => Pixels, x: Pixels, name: string): Pixels => {
      const spent = trace === undefined ? present(x) : [];
      const [y, statistics] = runBlock((t, ofT) => present(layer([t, ofT])), present(x), {
        ...settings,
        name,
        spent,
      });
      return [y!, statistics];
    };
  }

  dispose(): void {
    this.parameters.dispose();
  }
}
