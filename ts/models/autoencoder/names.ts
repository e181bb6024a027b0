import {
  convolution,
  prefixed,
  prefixIn,
  thirds,
  whole,
  type DiskTensor,
  type NamesMap,
} from "../../nn/names_map.js";
import type { Parameter } from "../../nn/parameter.js";
import type { AutoencoderConfig } from "./config.js";
import { autoencoderParameters, type AutoencoderPart } from "./parameters.js";

export type AutoencoderNaming = "bfl" | "diffusers";

const both: readonly AutoencoderPart[] = ["encoder", "decoder"];

// Parts of a name, ours on the left; the diffusers form has the up levels in reverse.
const diffusersParts: readonly (readonly [RegExp, string])[] = [
  [/\.down\.(\d+)\.block\.(\d+)/, ".down_blocks.$1.resnets.$2"],
  [/\.down\.(\d+)\.downsample\.conv/, ".down_blocks.$1.downsamplers.0.conv"],
  [/\.mid\.block_1/, ".mid_block.resnets.0"],
  [/\.mid\.block_2/, ".mid_block.resnets.1"],
  [/\.mid\.attn_1\.norm/, ".mid_block.attentions.0.group_norm"],
  [/\.mid\.attn_1\.proj_out/, ".mid_block.attentions.0.to_out.0"],
  [/\.mid\.attn_1\./, ".mid_block.attentions.0."],
  [/\.nin_shortcut/, ".conv_shortcut"],
  [/coder\.norm_out/, "coder.conv_norm_out"],
];

function diffusersName(ours: string, levels: number): string {
  const up = ours.replace(/\.up\.(\d+)\.(block\.(\d+)|upsample\.conv)/, (...match: string[]) => {
    const level = levels - 1 - Number(match[1]);
    return match[3] === undefined
      ? `.up_blocks.${level}.upsamplers.0.conv`
      : `.up_blocks.${level}.resnets.${match[3]}`;
  });
  return diffusersParts.reduce((name, [ours_, theirs]) => name.replace(ours_, theirs), up);
}

function diskTensors(
  parameter: Parameter,
  naming: AutoencoderNaming,
  levels: number,
): DiskTensor[] {
  const { name, shape } = parameter;
  const disk = naming === "bfl" ? name : diffusersName(name, levels);
  const attention = /\.attn_1\.(qkv|proj_out)\.(weight|bias)$/.exec(name);
  if (attention === null)
    return [shape.length === 4 ? convolution(disk, parameter) : whole(disk, parameter)];
  const fused = attention[1] === "qkv";
  const names = naming === "bfl" ? ["q", "k", "v"] : ["to_q", "to_k", "to_v"];
  const tensors = fused
    ? thirds(
        names.map((n) => disk.replace(/\.qkv\./, `.${n}.`)),
        parameter,
      )
    : [whole(disk, parameter)];
  // BFL stores these matrices as 1x1 convolutions.
  return naming === "bfl" && attention[2] === "weight"
    ? tensors.map((t) => ({ ...t, shape: [...t.shape, 1, 1] }))
    : tensors;
}

/** The names on disk of these parts of an autoencoder; the other part's are not looked at. */
export function autoencoderNames(
  config: AutoencoderConfig,
  naming: AutoencoderNaming,
  parts: readonly AutoencoderPart[] = both,
): NamesMap {
  const others = both.filter((part) => !parts.includes(part));
  const levels = config.channels.length;
  return {
    tensors: autoencoderParameters(config, parts).flatMap((p) => diskTensors(p, naming, levels)),
    ignores: (disk) => others.some((part) => disk.startsWith(`${part}.`)),
  };
}

/** A name that every autoencoder has, in either naming. */
export const autoencoderMark = "decoder.conv_in.weight";

/** Before the names of an autoencoder in files that hold more than it. */
export const autoencoderPrefixes = ["vae.", "first_stage_model."];

/** The map for a file with these names: diffusers' or BFL's, with or without a `vae.` prefix. */
export function autoencoderNamesIn(
  config: AutoencoderConfig,
  names: Iterable<string>,
  parts: readonly AutoencoderPart[] = both,
): NamesMap {
  const all = [...names];
  const prefix = prefixIn(all, autoencoderMark, autoencoderPrefixes);
  const bfl = all.some((name) => /coder\.(?:mid\.|norm_out\.)/.test(name));
  return prefixed(prefix, autoencoderNames(config, bfl ? "bfl" : "diffusers", parts));
}
