import { runBlock } from "../../nn/block.js";
import { ParameterSet, type ParameterSetOptions } from "../../nn/parameter_set.js";
import { SrpoError } from "../../native/error.js";
import { linearLayer } from "../../nn/layers.js";
import { cast, concat, silu, timestepEmbedding } from "../../ops/index.js";
import { fromBFloat16Bits, toBFloat16Bits } from "../../tensor/dtype.js";
import type { Tensor } from "../../tensor/tensor.js";
import type { FluxConfig } from "./config.js";
import { doubleBlock, embed, finalLayer, imageTokens, singleBlock } from "./layers.js";
import { fluxParameters, sinusoidSize } from "./parameters.js";
import { modulationOf, type Modulation } from "./modulation.js";
import type { RopeTable } from "./positions.js";

export interface FluxInputs {
  /** [B, Limg, 64] packed latents */
  readonly img: Tensor;
  /** [B, Ltxt, context size] T5 output; padding is attended like any other token */
  readonly txt: Tensor;
  /** [B, vector size] pooled CLIP output */
  readonly pooled: Tensor;
  /** One noise level a sample, in [0, 1]; the network multiplies it by 1000. */
  readonly sigma: readonly number[];
  /** One scale a sample (3.5), where the config has `guidance`; refused where it has not. */
  readonly guidance?: readonly number[] | undefined;
  /** Rotary table of the joint sequence, text first. */
  readonly pe: RopeTable;
}

export interface FluxOptions {
  /** Run each block, or the first so many, again in backward instead of keeping what it saves. Default false. */
  readonly recompute?: boolean | number;
  /** `bfloat16` rounds sigma and guidance as the official autocast does. Default exact. */
  readonly roundTimestep?: "exact" | "bfloat16";
  /** What was made ahead of this step, in the place of txt, pooled, sigma and guidance; for a forward without a tape. */
  readonly ahead?: { readonly txt: Tensor; readonly modulation: Modulation } | undefined;
  /** Called with what stands between the blocks, for a comparison; keeps all of it alive. */
  readonly trace?: ((name: string, t: Tensor) => void) | undefined;
}

/** Numbers times 1000, as the network's sinusoid takes them. */
export function timesThousand(
  values: readonly number[],
  rounding: "exact" | "bfloat16" = "exact",
): number[] {
  const round = (value: number) => fromBFloat16Bits(toBFloat16Bits(value));
  return values.map((value) =>
    rounding === "exact" ? Math.fround(Math.fround(value) * 1000) : round(round(value) * 1000),
  );
}

/**
 * The FLUX.1 transformer: the velocity (noise minus clean) of packed latents.
 *
 * @see models.md 1: 19 double blocks over two streams, then 38 single ones over their sequence
 */
export class Flux {
  readonly config: FluxConfig;
  readonly parameters: ParameterSet;

  constructor(config: FluxConfig, options: ParameterSetOptions = {}) {
    this.config = config;
    this.parameters = ParameterSet.create(fluxParameters(config), options);
  }

  /**
   * @returns [B, Limg, out channels] in the dtype of the weights
   * @throws SrpoError ERR_CONFIG if guidance is missing where the config asks for it, or given where not
   */
  forward(inputs: FluxInputs, options: FluxOptions = {}): Tensor {
    const { config, parameters: w } = this;
    const { recompute = false, trace, ahead } = options;
    const { pe } = inputs;
    const again = trace === undefined ? (recompute === true ? Infinity : Number(recompute)) : 0;
    const settings = (block: number) => ({ recompute: block < again, trainable: w.learns });

    let img = linearLayer(w, "img_in", cast(inputs.img, this.parameters.dtype));
    let txt = ahead?.txt ?? linearLayer(w, "txt_in", cast(inputs.txt, this.parameters.dtype));
    trace?.("x_embed", img);
    trace?.("ctx_embed", txt);
    const acts = ahead === undefined ? [this.#act(inputs, options)] : [];
    // Without a tape from what is there; else from a tensor that is an input of each block.
    const from = (act: Tensor | undefined) => ahead?.modulation ?? modulationOf(w, act!);
    const textLength = txt.dim(1);

    for (let i = 0; i < config.depth; ++i) {
      const block = (...[a, b, act]: Tensor[]) =>
        doubleBlock(w, config, i, pe, [a!, b!], from(act));
      const spent = trace === undefined ? [img, txt].filter((t) => t !== ahead?.txt) : [];
      const options = { ...settings(i), name: `double_blocks.${i}`, spent };
      const [nextImg, nextTxt] = runBlock(block, [img, txt, ...acts], options);
      [img, txt] = [nextImg!, nextTxt!];
      trace?.(`double.${i}.img`, img);
      trace?.(`double.${i}.txt`, txt);
    }
    let x = concat([txt, img], 1);
    for (let i = 0; i < config.depthSingleBlocks; ++i) {
      const block = (...[a, act]: Tensor[]) => [singleBlock(w, config, i, pe, a!, from(act))];
      const spent = trace === undefined ? [x] : [];
      const options = { ...settings(config.depth + i), name: `single_blocks.${i}`, spent };
      [x] = runBlock(block, [x, ...acts], options) as [Tensor];
      trace?.(`single.${i}`, x);
    }
    return finalLayer(w, imageTokens(x, textLength), from(acts[0]), trace);
  }

  /** What every modulation starts from, silu(vec): [B, D]. */
  #act(inputs: FluxInputs, { roundTimestep, trace }: FluxOptions): Tensor {
    const vec = this.conditioning(inputs, roundTimestep, inputs.img.dim(0));
    trace?.("temb", vec);
    return silu(vec);
  }

  /** The conditioning vector [B, D]: sigma, guidance and the pooled text, each through its own MLP. */
  conditioning(
    { sigma, guidance, pooled }: Pick<FluxInputs, "sigma" | "guidance" | "pooled">,
    rounding: FluxOptions["roundTimestep"],
    B: number = pooled.dim(0),
  ): Tensor {
    const { config, parameters: w } = this;
    const sinusoid = (name: string, values: readonly number[]) => {
      if (values.length !== B)
        throw new SrpoError(
          "ERR_SHAPE",
          `flux: ${name}: expected ${B} numbers, got ${values.length}`,
        );
      return timestepEmbedding(timesThousand(values, rounding), {
        dim: sinusoidSize,
        dtype: w.dtype,
        device: w.device,
      });
    };
    if ((guidance !== undefined) !== config.guidance)
      throw new SrpoError(
        "ERR_CONFIG",
        `flux: guidance: expected ${config.guidance ? "one number a sample" : "none: this model has no guidance input"}, ` +
          `got ${guidance === undefined ? "none" : "some"}`,
      );
    let vec = embed(w, "time_in", sinusoid("sigma", sigma));
    if (guidance !== undefined) vec = embed(w, "guidance_in", sinusoid("guidance", guidance), vec);
    return embed(w, "vector_in", cast(pooled, this.parameters.dtype), vec);
  }

  dispose(): void {
    this.parameters.dispose();
  }
}
