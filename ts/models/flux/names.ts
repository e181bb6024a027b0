import {
  prefixed,
  rowsOf,
  thirds,
  whole,
  type DiskTensor,
  type NamesMap,
} from "../../nn/names_map.js";
import type { Parameter } from "../../nn/parameter.js";
import { hiddenSize, type FluxConfig } from "./config.js";
import { fluxParameters, mlpSize } from "./parameters.js";

export type FluxNaming = "bfl" | "diffusers";

/** Names that every FLUX transformer has, in BFL's naming and in diffusers'. */
export const fluxMarks = ["img_in.weight", "x_embedder.weight"] as const;

const prefixes = ["model.diffusion_model.", "diffusion_model.", "transformer.", "model."];

/** The names that BFL's own files use: ours. */
function bflTensors(config: FluxConfig): DiskTensor[] {
  return fluxParameters(config).map((parameter) => whole(parameter.name, parameter));
}

// Ours on the left, diffusers' on the right, for what keeps its shape.
const outside: Readonly<Record<string, string>> = {
  img_in: "x_embedder",
  txt_in: "context_embedder",
  "time_in.in_layer": "time_text_embed.timestep_embedder.linear_1",
  "time_in.out_layer": "time_text_embed.timestep_embedder.linear_2",
  "guidance_in.in_layer": "time_text_embed.guidance_embedder.linear_1",
  "guidance_in.out_layer": "time_text_embed.guidance_embedder.linear_2",
  "vector_in.in_layer": "time_text_embed.text_embedder.linear_1",
  "vector_in.out_layer": "time_text_embed.text_embedder.linear_2",
  "final_layer.linear": "proj_out",
};
const inDoubleBlock: Readonly<Record<string, string>> = {
  "img_mod.lin": "norm1.linear",
  "txt_mod.lin": "norm1_context.linear",
  "img_attn.norm.query_norm": "attn.norm_q",
  "img_attn.norm.key_norm": "attn.norm_k",
  "txt_attn.norm.query_norm": "attn.norm_added_q",
  "txt_attn.norm.key_norm": "attn.norm_added_k",
  "img_attn.proj": "attn.to_out.0",
  "txt_attn.proj": "attn.to_add_out",
  "img_mlp.0": "ff.net.0.proj",
  "img_mlp.2": "ff.net.2",
  "txt_mlp.0": "ff_context.net.0.proj",
  "txt_mlp.2": "ff_context.net.2",
};
const inSingleBlock: Readonly<Record<string, string>> = {
  "modulation.lin": "norm.linear",
  "norm.query_norm": "attn.norm_q",
  "norm.key_norm": "attn.norm_k",
  linear2: "proj_out",
};
const imgQkv = ["attn.to_q", "attn.to_k", "attn.to_v"];
const txtQkv = ["attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"];

/** A parameter's name in parts: its block, the module in the block, and weight or bias. */
function split(name: string): { block: string; index: string; module: string; kind: string } {
  const match = /^(?:(double|single)_blocks\.(\d+)\.)?(.+)\.(weight|bias|scale)$/.exec(name)!;
  const [, block = "", index = "", module = "", last = ""] = match;
  return { block, index, module, kind: last === "scale" ? "weight" : last };
}

function diffusersTensors(config: FluxConfig): DiskTensor[] {
  const D = hiddenSize(config);
  return fluxParameters(config).flatMap((parameter: Parameter): DiskTensor[] => {
    const { block, index, module, kind } = split(parameter.name);
    if (block === "double") {
      const to = (name: string) => `transformer_blocks.${index}.${name}.${kind}`;
      if (module === "img_attn.qkv") return thirds(imgQkv.map(to), parameter);
      if (module === "txt_attn.qkv") return thirds(txtQkv.map(to), parameter);
      return [whole(to(inDoubleBlock[module]!), parameter)];
    }
    if (block === "single") {
      const to = (name: string) => `single_transformer_blocks.${index}.${name}.${kind}`;
      if (module !== "linear1") return [whole(to(inSingleBlock[module]!), parameter)];
      return [
        ...imgQkv.map((name, i) => rowsOf(to(name), parameter, i * D, D)),
        rowsOf(to("proj_mlp"), parameter, 3 * D, mlpSize(config)),
      ];
    }
    if (module === "final_layer.adaLN_modulation.1")
      // BFL keeps (shift, scale), diffusers (scale, shift).
      return [whole(`norm_out.linear.${kind}`, parameter, { layout: "swappedHalves" })];
    return [whole(`${outside[module]!}.${kind}`, parameter)];
  });
}

/** The names on disk of a FLUX transformer, in either naming. */
export function fluxNames(config: FluxConfig, naming: FluxNaming): NamesMap {
  const tensors = naming === "bfl" ? bflTensors(config) : diffusersTensors(config);
  return { tensors, ignores: () => false };
}

/** The naming that a file's names are in, told by their content, and the prefix before every one. */
export function detectFluxNaming(names: Iterable<string>): { naming: FluxNaming; prefix: string } {
  const all = new Set(names);
  for (const prefix of ["", ...prefixes]) {
    if (all.has(prefix + fluxMarks[0])) return { naming: "bfl", prefix };
    if (all.has(prefix + fluxMarks[1])) return { naming: "diffusers", prefix };
  }
  const bfl = [...all].some((name) => /(double|single)_blocks\.\d+\./.test(name));
  return { naming: bfl ? "bfl" : "diffusers", prefix: "" };
}

/** The map for a file with these names: diffusers' or BFL's, with or without a prefix. */
export function fluxNamesIn(config: FluxConfig, names: Iterable<string>): NamesMap {
  const { naming, prefix } = detectFluxNaming(names);
  return prefixed(prefix, fluxNames(config, naming));
}
