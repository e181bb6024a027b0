import {
  convolutionParameters,
  linearParameters,
  normParameters,
  type Parameter,
} from "../../nn/parameter.js";
import type { AutoencoderConfig } from "./config.js";

export type AutoencoderPart = "encoder" | "decoder";

function resnet(name: string, from: number, to: number): Parameter[] {
  return [
    ...normParameters(`${name}.norm1`, from),
    ...convolutionParameters(`${name}.conv1`, from, to, 3),
    ...normParameters(`${name}.norm2`, to),
    ...convolutionParameters(`${name}.conv2`, to, to, 3),
    ...(from === to ? [] : convolutionParameters(`${name}.nin_shortcut`, from, to, 1)),
  ];
}

function middle(part: AutoencoderPart, width: number): Parameter[] {
  return [
    ...resnet(`${part}.mid.block_1`, width, width),
    ...normParameters(`${part}.mid.attn_1.norm`, width),
    ...linearParameters(`${part}.mid.attn_1.qkv`, width, 3 * width),
    ...linearParameters(`${part}.mid.attn_1.proj_out`, width, width),
    ...resnet(`${part}.mid.block_2`, width, width),
  ];
}

function encoder(config: AutoencoderConfig): Parameter[] {
  const { channels } = config;
  const widest = channels.at(-1)!;
  const parameters = convolutionParameters(
    "encoder.conv_in",
    config.imageChannels,
    channels[0]!,
    3,
  );
  channels.forEach((width, level) => {
    const from = channels[Math.max(level - 1, 0)]!;
    for (let j = 0; j < config.resnets; ++j)
      parameters.push(...resnet(`encoder.down.${level}.block.${j}`, j === 0 ? from : width, width));
    if (level < channels.length - 1)
      parameters.push(
        ...convolutionParameters(`encoder.down.${level}.downsample.conv`, width, width, 3),
      );
  });
  return [
    ...parameters,
    ...middle("encoder", widest),
    ...normParameters("encoder.norm_out", widest),
    // mean and log-variance, stacked on channels
    ...convolutionParameters("encoder.conv_out", widest, 2 * config.latentChannels, 3),
  ];
}

/** Up levels as BFL counts them: `up.0` is the full resolution, and runs last. */
function decoder(config: AutoencoderConfig): Parameter[] {
  const { channels } = config;
  const widest = channels.at(-1)!;
  const parameters = [
    ...convolutionParameters("decoder.conv_in", config.latentChannels, widest, 3),
    ...middle("decoder", widest),
  ];
  for (let level = channels.length - 1; level >= 0; --level) {
    const width = channels[level]!;
    const from = channels[Math.min(level + 1, channels.length - 1)]!;
    for (let j = 0; j <= config.resnets; ++j)
      parameters.push(...resnet(`decoder.up.${level}.block.${j}`, j === 0 ? from : width, width));
    if (level > 0)
      parameters.push(
        ...convolutionParameters(`decoder.up.${level}.upsample.conv`, width, width, 3),
      );
  }
  return [
    ...parameters,
    ...normParameters("decoder.norm_out", channels[0]!),
    ...convolutionParameters("decoder.conv_out", channels[0]!, config.imageChannels, 3),
  ];
}

/** The weights of these parts under BFL's names, in the order of the forward pass. */
export function autoencoderParameters(
  config: AutoencoderConfig,
  parts: readonly AutoencoderPart[] = ["encoder", "decoder"],
): Parameter[] {
  return parts.flatMap((part) => (part === "encoder" ? encoder(config) : decoder(config)));
}
