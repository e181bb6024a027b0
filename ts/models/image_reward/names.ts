import { thirds, whole, type DiskTensor, type NamesMap } from "../../nn/names_map.js";
import type { Parameter } from "../../nn/parameter.js";
import type { ImageRewardConfig } from "./config.js";
import { imageRewardParameters } from "./parameters.js";

// What the score has no use for.
const unused = /^blip\.(?:vision_proj|text_proj)\.|^blip\.text_encoder\.embeddings\.position_ids$/;

function diskTensors(parameter: Parameter, patch: number): DiskTensor[] {
  const { name, shape } = parameter;
  const parts = /\.self\.(qkv|kv)\./.exec(name)?.[1];
  if (parts !== undefined) {
    const all = parts === "qkv" ? ["query", "key", "value"] : ["key", "value"];
    return thirds(
      all.map((part) => name.replace(`.self.${parts}.`, `.self.${part}.`)),
      parameter,
    );
  }
  if (name.endsWith(".cls_token")) return [whole(name, parameter, { shape: [1, 1, ...shape] })];
  if (name.endsWith(".pos_embed")) return [whole(name, parameter, { shape: [1, ...shape] })];
  if (name.endsWith(".patch_embed.proj.weight"))
    return [whole(name, parameter, { shape: [shape[0]!, 3, patch, patch] })];
  return [whole(name, parameter)];
}

/** The names of ImageReward.pt. */
export function imageRewardNames(config: ImageRewardConfig): NamesMap {
  return {
    tensors: imageRewardParameters(config).flatMap((p) => diskTensors(p, config.vision.patchSize)),
    ignores: (disk) => unused.test(disk),
  };
}
