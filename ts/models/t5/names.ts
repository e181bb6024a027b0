import {
  prefixed,
  prefixIn,
  thirds,
  whole,
  type DiskTensor,
  type NamesMap,
} from "../../nn/names_map.js";
import type { Parameter } from "../../nn/parameter.js";
import type { T5Config } from "./config.js";
import { t5Parameters } from "./parameters.js";

const inBlock: Readonly<Record<string, string>> = {
  norm1: "layer.0.layer_norm",
  o: "layer.0.SelfAttention.o",
  norm2: "layer.1.layer_norm",
  wi_0: "layer.1.DenseReluDense.wi_0",
  wi_1: "layer.1.DenseReluDense.wi_1",
  wo: "layer.1.DenseReluDense.wo",
};
const outside: Readonly<Record<string, string>> = {
  "shared.weight": "shared.weight",
  "relative_bias.weight": "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight",
  "final_norm.weight": "encoder.final_layer_norm.weight",
};
const tied = "encoder.embed_tokens.weight";

function diskTensors(parameter: Parameter): DiskTensor[] {
  const block = /^block\.(\d+)\.(\w+)\.weight$/.exec(parameter.name);
  if (block === null) return [whole(outside[parameter.name]!, parameter)];
  const [, index, module] = block;
  const to = (name: string) => `encoder.block.${index}.${name}.weight`;
  return module === "qkv"
    ? thirds(
        ["q", "k", "v"].map((n) => to(`layer.0.SelfAttention.${n}`)),
        parameter,
      )
    : [whole(to(inBlock[module!]!), parameter)];
}

/** transformers' names of a T5 encoder. */
export function t5Names(config: T5Config): NamesMap {
  return {
    tensors: t5Parameters(config).flatMap(diskTensors),
    ignores: (disk) => disk === tied,
  };
}

/** A name that every T5 encoder has. */
export const t5Mark = "encoder.block.0.layer.0.SelfAttention.q.weight";

// Before the names of an encoder in files that hold more than it.
export const t5Prefixes = [
  "text_encoders.t5xxl.transformer.",
  "text_encoders.t5xxl.",
  "text_encoder_2.",
];

/**
 * The map for a file with these names, alone or inside an all-in-one file; some keep the embedding only under
 * its tied name.
 */
export function t5NamesIn(config: T5Config, names: Iterable<string>): NamesMap {
  const all = new Set(names);
  const prefix = prefixIn(all, t5Mark, t5Prefixes);
  const map = t5Names(config);
  const onlyTied = !all.has(`${prefix}shared.weight`) && all.has(prefix + tied);
  const tensors = map.tensors.map((t) => (t.disk === "shared.weight" ? { ...t, disk: tied } : t));
  return prefixed(prefix, onlyTied ? { ...map, tensors } : map);
}
