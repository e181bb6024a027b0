import { layerNormLayer, linearLayer, mlpLayers } from "../nn/layers.js";
import type { ParameterSet } from "../nn/parameter_set.js";
import { attention, qkvNormRope } from "../ops/index.js";
import type { AttentionOptions } from "../ops/attention/attention.js";
import type { LinearOptions } from "../ops/gemm/linear.js";
import type { Tensor } from "../tensor/tensor.js";

/** The layers of one block by their names in the model. */
export interface PreNormBlockNames {
  readonly norm1: string;
  /** q, k and v in one, [3 * width, width]. */
  readonly qkv: string;
  readonly out: string;
  readonly norm2: string;
  readonly up: string;
  readonly down: string;
}

export interface PreNormBlockOptions {
  readonly heads: number;
  /** Of the MLP. */
  readonly act: NonNullable<LinearOptions["act"]>;
  readonly eps: number;
  readonly mask?: Pick<AttentionOptions, "causal" | "keyMask">;
}

/**
 * The block of ViT, CLIP, SigLIP and BLIP's image encoder:
 * `x += out(attention(qkv(norm1(x)))); x += down(act(up(norm2(x))))`.
 *
 * @param x - [B, L, width]
 * @see Dosovitskiy et al. 2021, arXiv:2010.11929 eq. 2, 3
 */
export function preNormBlock(
  w: ParameterSet,
  { norm1, qkv, out, norm2, up, down }: PreNormBlockNames,
  { heads, act, eps, mask = {} }: PreNormBlockOptions,
  x: Tensor,
): Tensor {
  const projected = linearLayer(w, qkv, layerNormLayer(w, norm1, x, eps));
  const [q, k, v] = qkvNormRope([{ qkv: projected }], { heads });
  const y = linearLayer(w, out, attention(q, k, v, mask), { residual: x });
  return mlpLayers(w, [up, down], layerNormLayer(w, norm2, y, eps), { act, residual: y });
}
