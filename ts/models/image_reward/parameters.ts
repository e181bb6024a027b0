import { linearParameters, normal, normParameters, type Parameter } from "../../nn/parameter.js";
import type { ImageRewardConfig } from "./config.js";

function vision({ width, layers, imageSize, patchSize }: ImageRewardConfig["vision"]): Parameter[] {
  const block = (name: string) => [
    ...normParameters(`${name}.norm1`, width),
    ...linearParameters(`${name}.attn.qkv`, width, 3 * width),
    ...linearParameters(`${name}.attn.proj`, width, width),
    ...normParameters(`${name}.norm2`, width),
    ...linearParameters(`${name}.mlp.fc1`, width, 4 * width),
    ...linearParameters(`${name}.mlp.fc2`, 4 * width, width),
  ];
  const tokens = Math.trunc(imageSize / patchSize) ** 2 + 1;
  const root = "blip.visual_encoder";
  return [
    normal(`${root}.cls_token`, [width]),
    normal(`${root}.pos_embed`, [tokens, width]),
    ...linearParameters(`${root}.patch_embed.proj`, 3 * patchSize * patchSize, width),
    ...Array.from({ length: layers }, (_, i) => block(`${root}.blocks.${i}`)).flat(),
    ...normParameters(`${root}.norm`, width),
  ];
}

function text({ vision: { width: image }, text: config }: ImageRewardConfig): Parameter[] {
  const { width, mlp, layers, vocabulary, positions } = config;
  const output = (name: string, inputs: number) => [
    ...linearParameters(`${name}.dense`, inputs, width),
    ...normParameters(`${name}.LayerNorm`, width),
  ];
  const block = (name: string) => [
    ...linearParameters(`${name}.attention.self.qkv`, width, 3 * width),
    ...output(`${name}.attention.output`, width),
    ...linearParameters(`${name}.crossattention.self.query`, width, width),
    ...linearParameters(`${name}.crossattention.self.kv`, image, 2 * width),
    ...output(`${name}.crossattention.output`, width),
    ...linearParameters(`${name}.intermediate.dense`, width, mlp),
    ...output(`${name}.output`, mlp),
  ];
  const root = "blip.text_encoder";
  return [
    normal(`${root}.embeddings.word_embeddings.weight`, [vocabulary, width]),
    normal(`${root}.embeddings.position_embeddings.weight`, [positions, width]),
    ...normParameters(`${root}.embeddings.LayerNorm`, width),
    ...Array.from({ length: layers }, (_, i) => block(`${root}.encoder.layer.${i}`)).flat(),
  ];
}

/** The numbers of the head's linear layers; dropouts have the others. */
export const headNumbers = [0, 2, 4, 6, 7];

/** The weights of ImageReward under its own names, q, k and v (k and v of the cross attention) in one. */
export function imageRewardParameters(config: ImageRewardConfig): Parameter[] {
  const { head } = config;
  return [
    ...vision(config.vision),
    ...text(config),
    ...headNumbers.flatMap((n, i) => linearParameters(`mlp.layers.${n}`, head[i]!, head[i + 1]!)),
  ];
}
