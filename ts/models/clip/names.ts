import {
  prefixed,
  prefixIn,
  thirds,
  transposed,
  whole,
  type DiskTensor,
  type NamesMap,
} from "../../nn/names_map.js";
import type { Parameter } from "../../nn/parameter.js";
import type { ClipTextConfig, TwoTowerConfig } from "./config.js";
import { clipTextParameters, twoTowerParameters } from "./parameters.js";

// transformers' names of what stands outside the blocks.
const hfOutside: Readonly<Record<string, string>> = {
  "token_embedding.weight": "text_model.embeddings.token_embedding.weight",
  positional_embedding: "text_model.embeddings.position_embedding.weight",
  "ln_final.weight": "text_model.final_layer_norm.weight",
  "ln_final.bias": "text_model.final_layer_norm.bias",
  text_projection: "text_projection.weight",
  "visual.class_embedding": "vision_model.embeddings.class_embedding",
  "visual.positional_embedding": "vision_model.embeddings.position_embedding.weight",
  "visual.ln_pre.weight": "vision_model.pre_layrnorm.weight",
  "visual.ln_pre.bias": "vision_model.pre_layrnorm.bias",
  "visual.ln_post.weight": "vision_model.post_layernorm.weight",
  "visual.ln_post.bias": "vision_model.post_layernorm.bias",
  "visual.proj": "visual_projection.weight",
};
const hfInBlock: Readonly<Record<string, string>> = {
  ln_1: "layer_norm1",
  ln_2: "layer_norm2",
  "attn.out_proj": "self_attn.out_proj",
  "mlp.c_fc": "mlp.fc1",
  "mlp.c_proj": "mlp.fc2",
};

function patchShape({ shape: [width, inputs] }: Parameter): number[] {
  const side = Math.round(Math.sqrt(inputs! / 3));
  return [width!, 3, side, side];
}

function hfTensors(parameter: Parameter): DiskTensor[] {
  const { name } = parameter;
  if (name === "logit_scale") return [whole(name, parameter, { shape: [] })];
  if (name === "visual.conv1.weight")
    return [
      whole("vision_model.embeddings.patch_embedding.weight", parameter, {
        shape: patchShape(parameter),
      }),
    ];
  const block = /^(visual\.)?transformer\.resblocks\.(\d+)\.(.+)\.(weight|bias)$/.exec(name);
  if (block === null) return [whole(hfOutside[name]!, parameter)];
  const [, visual, index, module, kind] = block;
  const tower = visual === undefined ? "text_model" : "vision_model";
  const to = (layer: string) => `${tower}.encoder.layers.${index}.${layer}.${kind}`;
  return module === "attn.in_proj"
    ? thirds(["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"].map(to), parameter)
    : [whole(to(hfInBlock[module!]!), parameter)];
}

function openClipTensors(parameter: Parameter): DiskTensor[] {
  const { name } = parameter;
  switch (name) {
    case "logit_scale":
      return [whole(name, parameter, { shape: [] })];
    case "visual.conv1.weight":
      return [whole(name, parameter, { shape: patchShape(parameter) })];
    case "visual.proj":
    case "text_projection":
      return [transposed(name, parameter)];
    default:
      return [whole(name.replace(/attn\.in_proj\./, "attn.in_proj_"), parameter)];
  }
}

const positionIds = /(^|\.)position_ids$/;

/** A name that every transformers CLIP text tower has. */
export const clipTextMark = "text_model.embeddings.token_embedding.weight";

/** A transformers CLIPTextModel's names; the image tower of a whole CLIPModel is not looked at. */
export function clipTextNames(config: ClipTextConfig): NamesMap {
  const others = /^(vision_model\.|visual_projection\.|text_projection\.|logit_scale$)/;
  return {
    tensors: clipTextParameters(config).flatMap(hfTensors),
    ignores: (disk) => positionIds.test(disk) || others.test(disk),
  };
}

// Before the names of a text tower in files that hold more than it.
export const textPrefixes = [
  "text_encoders.clip_l.transformer.",
  "text_encoders.clip_l.",
  "conditioner.embedders.0.transformer.",
  "text_encoder.",
];

/** The map for a file with these names: a CLIPTextModel's, alone or inside an all-in-one file. */
export function clipTextNamesIn(config: ClipTextConfig, names: Iterable<string>): NamesMap {
  return prefixed(prefixIn(names, clipTextMark, textPrefixes), clipTextNames(config));
}

/** A transformers CLIPModel's names. */
export function hfClipNames(config: TwoTowerConfig): NamesMap {
  return {
    tensors: twoTowerParameters(config).flatMap(hfTensors),
    ignores: (disk) => positionIds.test(disk),
  };
}

/** OpenCLIP's names, those of HPS_v2.1 too. */
export function openClipNames(config: TwoTowerConfig): NamesMap {
  return {
    tensors: twoTowerParameters(config).flatMap(openClipTensors),
    ignores: (disk) => disk === "attn_mask",
  };
}

/** Whose names a two-tower file has: transformers', or else OpenCLIP's. */
export function twoTowerLayoutIn(names: Iterable<string>): "open_clip" | "hf" {
  const hf = [...names].some((n) => n.startsWith("vision_model.") || n.startsWith("text_model."));
  return hf ? "hf" : "open_clip";
}

/** The map for a two-tower file with these names: OpenCLIP's (`module.` before them or not) or transformers'. */
export function twoTowerNamesIn(config: TwoTowerConfig, names: Iterable<string>): NamesMap {
  const all = [...names];
  if (twoTowerLayoutIn(all) === "hf") return hfClipNames(config);
  const prefix = all.some((name) => name.startsWith("module.visual.")) ? "module." : "";
  return prefixed(prefix, openClipNames(config));
}
