import { runBlock } from "../../nn/block.js";
import { splitHeads } from "../../nn/heads.js";
import { layerNormLayer, linearLayer } from "../../nn/layers.js";
import type { ParameterSet } from "../../nn/parameter_set.js";
import { addRows, attention, concat, linear, reshape, split } from "../../ops/index.js";
import type { Tensor } from "../../tensor/tensor.js";
import type { TowerOptions } from "../clip/layers.js";
import { patchEmbedding } from "../patches.js";
import { preNormBlock, type PreNormBlockNames } from "../pre_norm_block.js";
import type { SiglipConfig } from "./config.js";

const act = "gelu-tanh";

function blockNames(index: number): PreNormBlockNames {
  const block = `encoder.layers.${index}`;
  return {
    norm1: `${block}.layer_norm1`,
    qkv: `${block}.self_attn.qkv`,
    out: `${block}.self_attn.out_proj`,
    norm2: `${block}.layer_norm2`,
    up: `${block}.mlp.fc1`,
    down: `${block}.mlp.fc2`,
  };
}

/**
 * The tower without its pooling: no class token, no norm before the blocks.
 *
 * @param pixels - [B, size, size, 3], normalised
 * @returns [B, tokens, width], after the last norm
 */
export function siglipTokensOf(
  w: ParameterSet,
  config: SiglipConfig,
  pixels: Tensor,
  { recompute = false, trace }: TowerOptions = {},
): Tensor {
  const patches = patchEmbedding(w, "embeddings.patch_embedding", pixels, config.patchSize);
  let x = addRows(patches, w.get("embeddings.position_embedding.weight"));
  const settings = { recompute: recompute && trace === undefined, trainable: w.trainable };
  for (let i = 0; i < config.layers; ++i) {
    const run = (t?: Tensor) => [preNormBlock(w, blockNames(i), { ...config, act }, t!)];
    [x] = runBlock(run, [x], { ...settings, name: `vision.${i}`, spent: [x] }) as [Tensor];
  }
  const y = layerNormLayer(w, "post_layernorm", x, config.eps);
  trace?.("last_hidden_state", y);
  return y;
}

/**
 * Attention pooling: one learnt probe asks all tokens, `h + mlp(norm(h))` of what it gets.
 *
 * @param tokens - [B, L, width]
 * @returns [B, width]
 */
export function siglipPooled(
  w: ParameterSet,
  { width, heads, eps }: SiglipConfig,
  tokens: Tensor,
): Tensor {
  // Rows of the fused projection: q's for the probe, k's and v's for the tokens.
  const project = (x: Tensor, first: number, count: number) =>
    linear(
      x,
      w.rows("head.attention.in_proj.weight", first * width, count * width),
      w.rows("head.attention.in_proj.bias", first * width, count * width),
    );
  const probe = reshape(project(w.get("head.probe"), 0, 1), [1, 1, width]);
  const B = tokens.dim(0);
  const q = splitHeads(
    concat(
      Array.from({ length: B }, () => probe),
      0,
    ),
    heads,
  );
  const [k, v] = split(project(tokens, 1, 2), 2, 2).map((part) => splitHeads(part, heads));
  const h = linearLayer(w, "head.attention.out_proj", attention(q, k!, v!));
  const hidden = linearLayer(w, "head.mlp.fc1", layerNormLayer(w, "head.layernorm", h, eps), {
    act,
  });
  return reshape(linearLayer(w, "head.mlp.fc2", hidden, { residual: h }), [B, width]);
}
