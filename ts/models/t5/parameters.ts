import { linearParameters, normal, normParameters, type Parameter } from "../../nn/parameter.js";
import type { T5Config } from "./config.js";

/** The weights of a T5 encoder; q, k and v of a block stand in one matrix. No biases anywhere. */
export function t5Parameters(config: T5Config): Parameter[] {
  const { width, heads, headSize, mlp } = config;
  const inner = heads * headSize;
  const plain = { bias: false };
  const parameters = [
    normal("shared.weight", [config.vocabulary, width], 1),
    normal("relative_bias.weight", [config.buckets, heads], 0.1),
  ];
  for (let i = 0; i < config.layers; ++i)
    parameters.push(
      ...normParameters(`block.${i}.norm1`, width, plain),
      ...linearParameters(`block.${i}.qkv`, width, 3 * inner, plain),
      ...linearParameters(`block.${i}.o`, inner, width, plain),
      ...normParameters(`block.${i}.norm2`, width, plain),
      ...linearParameters(`block.${i}.wi_0`, width, mlp, plain),
      ...linearParameters(`block.${i}.wi_1`, width, mlp, plain),
      ...linearParameters(`block.${i}.wo`, mlp, width, plain),
    );
  return [...parameters, ...normParameters("final_norm", width, plain)];
}
