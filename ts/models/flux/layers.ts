import {
  attentionMlpLayers,
  linearLayer,
  linearLayerPair,
  mlpLayersPair,
  qkvLayers,
} from "../../nn/layers.js";
import type { ParameterSet } from "../../nn/parameter_set.js";
import { attention, modulatedLayerNorm, slice, split } from "../../ops/index.js";
import type { Tensor } from "../../tensor/tensor.js";
import { hiddenSize, type FluxConfig } from "./config.js";
import type { Modulation } from "./modulation.js";
import { mlpSize } from "./parameters.js";
import type { RopeTable } from "./positions.js";

/** in_layer, silu, out_layer, added to `sum` where given. */
export function embed(w: ParameterSet, name: string, x: Tensor, sum?: Tensor): Tensor {
  const hidden = linearLayer(w, `${name}.in_layer`, x, { act: "silu" });
  return linearLayer(w, `${name}.out_layer`, hidden, sum === undefined ? {} : { residual: sum });
}

/**
 * A double block: two streams with weights of their own that meet in one attention.
 *
 *   a = attention(qkv of LN(img) and of LN(txt), modulated)
 *   img += gate1 * proj(a_img);  img += gate2 * mlp(LN(img), modulated);  txt likewise
 */
export function doubleBlock(
  w: ParameterSet,
  { heads }: FluxConfig,
  index: number,
  pe: RopeTable,
  [img, txt]: readonly [Tensor, Tensor],
  modulation: Modulation,
): [img: Tensor, txt: Tensor] {
  const at = (name: string) => `double_blocks.${index}.${name}`;
  const streamOf = (x: Tensor, stream: "img" | "txt") => {
    const [shift1, scale1, gate1, shift2, scale2, gate2] = modulation(at(`${stream}_mod.lin`), 6);
    const [attn, mlp] = [at(`${stream}_attn`), at(`${stream}_mlp`)];
    return {
      qkv: {
        name: `${attn}.qkv`,
        x: modulatedLayerNorm(x, scale1!, shift1!),
        qScale: w.get(`${attn}.norm.query_norm.scale`),
        kScale: w.get(`${attn}.norm.key_norm.scale`),
      },
      proj: (attended: Tensor) => ({
        name: `${attn}.proj`,
        x: attended,
        residual: x,
        gate: gate1!,
      }),
      mlp: (y: Tensor) => ({
        names: [`${mlp}.0`, `${mlp}.2`] as const,
        x: modulatedLayerNorm(y, scale2!, shift2!),
        residual: y,
        gate: gate2!,
      }),
    };
  };

  // The streams advance side by side: each product of the one in a launch with the other's.
  const [ofTxt, ofImg] = [streamOf(txt, "txt"), streamOf(img, "img")];
  const [q, k, v] = qkvLayers(w, [ofTxt.qkv, ofImg.qkv], { heads, rope: pe }); // [B, N, Ltxt + Limg, Dh]
  const joint = attention(q, k, v); // [B, Ltxt + Limg, D]
  const [attendedTxt, attendedImg] = split(joint, 1, [txt.dim(1), img.dim(1)]);
  const [y, yTxt] = linearLayerPair(w, [ofImg.proj(attendedImg!), ofTxt.proj(attendedTxt!)]);
  return mlpLayersPair(w, [ofImg.mlp(y), ofTxt.mlp(yTxt)], { act: "gelu-tanh" });
}

/**
 * A single block over the joint sequence, attention and MLP side by side:
 * x += gate * linear2(attention, gelu(mlp)), both from LN(x), modulated.
 */
export function singleBlock(
  w: ParameterSet,
  config: FluxConfig,
  index: number,
  pe: RopeTable,
  x: Tensor,
  modulation: Modulation,
): Tensor {
  const D = hiddenSize(config);
  const block = `single_blocks.${index}`;
  const [shift, scale, gate] = modulation(`${block}.modulation.lin`, 3);
  const normed = modulatedLayerNorm(x, scale!, shift!);

  // linear1 is qkv and the first MLP layer in one; its two row ranges keep them apart without a copy.
  const linear1 = `${block}.linear1`;
  const qkv = {
    name: linear1,
    x: normed,
    count: 3 * D,
    qScale: w.get(`${block}.norm.query_norm.scale`),
    kScale: w.get(`${block}.norm.key_norm.scale`),
  };
  const heads = qkvLayers(w, [qkv], { heads: config.heads, rope: pe });
  const up = { name: linear1, start: 3 * D, count: mlpSize(config) };
  return attentionMlpLayers(w, heads, normed, [up, `${block}.linear2`], {
    act: "gelu-tanh",
    residual: x,
    gate: gate!,
  });
}

/** The output head: LN(img) under its own shift and scale, then a linear to the packed channels. */
export function finalLayer(
  w: ParameterSet,
  x: Tensor,
  modulation: Modulation,
  trace?: (name: string, t: Tensor) => void,
): Tensor {
  const [shift, scale] = modulation("final_layer.adaLN_modulation.1", 2);
  const normed = modulatedLayerNorm(x, scale!, shift!);
  trace?.("norm_out", normed);
  return linearLayer(w, "final_layer.linear", normed);
}

/** The image's part of the joint sequence, which begins with the text. */
export function imageTokens(x: Tensor, textLength: number): Tensor {
  return slice(x, 1, textLength, x.dim(1) - textLength);
}
