import { linearParameters, normParameters, type Parameter } from "../../nn/parameter.js";
import { hiddenSize, type FluxConfig } from "./config.js";

/** Channels of the sinusoid of a timestep or guidance. */
export const sinusoidSize = 256;

/** Hidden channels of the MLPs. */
export function mlpSize(config: FluxConfig): number {
  return Math.trunc(hiddenSize(config) * config.mlpRatio);
}

function embedder(name: string, inputs: number, width: number): Parameter[] {
  return [
    ...linearParameters(`${name}.in_layer`, inputs, width),
    ...linearParameters(`${name}.out_layer`, width, width),
  ];
}

function qkNorm(name: string, size: number): Parameter[] {
  return ["query_norm", "key_norm"].map((part) => {
    const [weight] = normParameters(part, size, { bias: false });
    return { ...weight!, name: `${name}.${part}.scale` };
  });
}

/** Whether it is one of the blocks' matrices: nearly all of the weights. What stands around the blocks is small. */
export function isBlockMatrix({ name, shape }: Parameter): boolean {
  return shape.length === 2 && /^(?:double|single)_blocks\..*\.weight$/.test(name);
}

/** Whether it is a modulation's matrix: its layer sees one row a sample. */
export function isModulation({ name }: Parameter): boolean {
  return /(?:_mod\.lin|modulation\.(?:lin|1))\.weight$/.test(name);
}

/** The weights of FLUX under the names of its own files, in the order of the forward pass. */
export function fluxParameters(config: FluxConfig): Parameter[] {
  const D = hiddenSize(config);
  const mlp = mlpSize(config);
  const parameters = [
    ...linearParameters("img_in", config.inChannels, D),
    ...linearParameters("txt_in", config.contextSize, D),
    ...embedder("time_in", sinusoidSize, D),
    ...(config.guidance ? embedder("guidance_in", sinusoidSize, D) : []),
    ...embedder("vector_in", config.vectorSize, D),
  ];
  for (let i = 0; i < config.depth; ++i)
    for (const stream of ["img", "txt"]) {
      const block = `double_blocks.${i}.${stream}`;
      parameters.push(
        ...linearParameters(`${block}_mod.lin`, D, 6 * D),
        ...linearParameters(`${block}_attn.qkv`, D, 3 * D),
        ...qkNorm(`${block}_attn.norm`, config.headSize),
        ...linearParameters(`${block}_attn.proj`, D, D),
        ...linearParameters(`${block}_mlp.0`, D, mlp),
        ...linearParameters(`${block}_mlp.2`, mlp, D),
      );
    }
  for (let i = 0; i < config.depthSingleBlocks; ++i) {
    const block = `single_blocks.${i}`;
    parameters.push(
      ...linearParameters(`${block}.modulation.lin`, D, 3 * D),
      // rows: q, k, v, then the MLP
      ...linearParameters(`${block}.linear1`, D, 3 * D + mlp),
      ...qkNorm(`${block}.norm`, config.headSize),
      // columns: the attention, then the MLP
      ...linearParameters(`${block}.linear2`, D + mlp, D),
    );
  }
  return [
    ...parameters,
    // rows: shift, then scale
    ...linearParameters("final_layer.adaLN_modulation.1", D, 2 * D),
    ...linearParameters("final_layer.linear", D, config.outChannels),
  ];
}
