import { linearParameters, normal, normParameters, type Parameter } from "../../nn/parameter.js";
import {
  aestheticHeadWidths,
  siglipTokens,
  type AestheticConfig,
  type SiglipConfig,
} from "./config.js";

/** The weights of a SigLIP image tower, q, k and v of each attention in one. */
export function siglipParameters(config: SiglipConfig): Parameter[] {
  const { width, mlp, patchSize } = config;
  const block = (name: string) => [
    ...normParameters(`${name}.layer_norm1`, width),
    ...linearParameters(`${name}.self_attn.qkv`, width, 3 * width),
    ...linearParameters(`${name}.self_attn.out_proj`, width, width),
    ...normParameters(`${name}.layer_norm2`, width),
    ...linearParameters(`${name}.mlp.fc1`, width, mlp),
    ...linearParameters(`${name}.mlp.fc2`, mlp, width),
  ];
  return [
    ...linearParameters("embeddings.patch_embedding", 3 * patchSize * patchSize, width),
    normal("embeddings.position_embedding.weight", [siglipTokens(config), width]),
    ...Array.from({ length: config.layers }, (_, i) => block(`encoder.layers.${i}`)).flat(),
    ...normParameters("post_layernorm", width),
    normal("head.probe", [1, width]),
    ...linearParameters("head.attention.in_proj", width, 3 * width),
    ...linearParameters("head.attention.out_proj", width, width),
    ...normParameters("head.layernorm", width),
    ...linearParameters("head.mlp.fc1", width, mlp),
    ...linearParameters("head.mlp.fc2", mlp, width),
  ];
}

/** The linear layers of a scoring head on a tower of this width; their numbers count the dropouts between. */
export function aestheticHeadParameters(
  width: number,
  widths: readonly number[] = aestheticHeadWidths,
): Parameter[] {
  const inputs = [width, ...widths];
  return widths.flatMap((outputs, i) =>
    linearParameters(`scoring_head.${2 * i}`, inputs[i]!, outputs),
  );
}

/** The weights of tower and head. */
export function aestheticParameters({ tower, head }: AestheticConfig): Parameter[] {
  return [...siglipParameters(tower), ...aestheticHeadParameters(tower.width, head)];
}
