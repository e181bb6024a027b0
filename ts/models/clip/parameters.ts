import { linearParameters, normal, normParameters, type Parameter } from "../../nn/parameter.js";
import {
  patchCount,
  type ClipTextConfig,
  type ClipVisionConfig,
  type TowerConfig,
  type TwoTowerConfig,
} from "./config.js";

/** The blocks of one tower under OpenCLIP's names, but for a full stop: `attn.in_proj.weight`. */
function tower(name: string, { width, layers, mlp }: TowerConfig): Parameter[] {
  return Array.from({ length: layers }, (_, i) => `${name}resblocks.${i}`).flatMap((block) => [
    ...normParameters(`${block}.ln_1`, width),
    ...linearParameters(`${block}.attn.in_proj`, width, 3 * width),
    ...linearParameters(`${block}.attn.out_proj`, width, width),
    ...normParameters(`${block}.ln_2`, width),
    ...linearParameters(`${block}.mlp.c_fc`, width, mlp),
    ...linearParameters(`${block}.mlp.c_proj`, mlp, width),
  ]);
}

/** The weights of a text tower. */
export function clipTextParameters(config: ClipTextConfig): Parameter[] {
  return [
    normal("token_embedding.weight", [config.vocabulary, config.width]),
    normal("positional_embedding", [config.positions, config.width], 0.01),
    ...tower("transformer.", config),
    ...normParameters("ln_final", config.width),
  ];
}

/** The weights of an image tower. */
export function clipVisionParameters(config: ClipVisionConfig): Parameter[] {
  const { width, patchSize } = config;
  const inputs = 3 * patchSize * patchSize;
  const deviation = width ** -0.5;
  return [
    normal("visual.class_embedding", [width], deviation),
    normal("visual.conv1.weight", [width, inputs], inputs ** -0.5),
    normal("visual.positional_embedding", [patchCount(config) + 1, width], deviation),
    ...normParameters("visual.ln_pre", width),
    ...tower("visual.transformer.", config),
    ...normParameters("visual.ln_post", width),
  ];
}

/** The weights of two towers, their projections [embedding, width], and the logit scale [1]. */
export function twoTowerParameters({ text, vision, embedding }: TwoTowerConfig): Parameter[] {
  return [
    ...clipVisionParameters(vision),
    normal("visual.proj", [embedding, vision.width], vision.width ** -0.5),
    ...clipTextParameters(text),
    normal("text_projection", [embedding, text.width], text.width ** -0.5),
    { name: "logit_scale", shape: [1], init: { kind: "zeros" } },
  ];
}
