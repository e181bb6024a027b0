// BLIP's two encoders (arXiv:2201.12086): a ViT, and a BERT whose layers also attend to the image's tokens.
import { runBlock } from "../../nn/block.js";
import { splitHeads } from "../../nn/heads.js";
import { layerNormLayer, linearLayer } from "../../nn/layers.js";
import type { ParameterSet } from "../../nn/parameter_set.js";
import { addRows, attention, embedding, prependRow, qkvNormRope, split } from "../../ops/index.js";
import { SrpoError } from "../../native/error.js";
import { tensor, type Tensor } from "../../tensor/tensor.js";
import type { TowerOptions } from "../clip/layers.js";
import { patchEmbedding } from "../patches.js";
import { preNormBlock, type PreNormBlockNames } from "../pre_norm_block.js";
import type { TokenIds } from "../token_ids.js";
import type { BlipTextConfig, BlipVisionConfig } from "./config.js";

const act = "gelu-erf";
const vision = "blip.visual_encoder";
const text = "blip.text_encoder";

function visionBlock(index: number): PreNormBlockNames {
  const block = `${vision}.blocks.${index}`;
  return {
    norm1: `${block}.norm1`,
    qkv: `${block}.attn.qkv`,
    out: `${block}.attn.proj`,
    norm2: `${block}.norm2`,
    up: `${block}.mlp.fc1`,
    down: `${block}.mlp.fc2`,
  };
}

/**
 * The image encoder.
 *
 * @param pixels - [B, size, size, 3], normalised
 * @returns [B, 1 + patches, width], the class token first, all after the last norm
 */
export function imageTokens(
  w: ParameterSet,
  config: BlipVisionConfig,
  pixels: Tensor,
  { recompute = false, trace }: TowerOptions = {},
): Tensor {
  const patches = patchEmbedding(w, `${vision}.patch_embed.proj`, pixels, config.patchSize);
  const tokens = prependRow(patches, w.get(`${vision}.cls_token`));
  let x = addRows(tokens, w.get(`${vision}.pos_embed`));
  const settings = { recompute: recompute && trace === undefined, trainable: w.trainable };
  for (let i = 0; i < config.layers; ++i) {
    const run = (t?: Tensor) => [preNormBlock(w, visionBlock(i), { ...config, act }, t!)];
    [x] = runBlock(run, [x], { ...settings, name: `vision.${i}`, spent: [x] }) as [Tensor];
  }
  const y = layerNormLayer(w, `${vision}.norm`, x, config.eps);
  trace?.("image_tokens", y);
  return y;
}

/** BERT's layer, each part normed after its residual: self attention, attention to the image, MLP. */
function textBlock(
  w: ParameterSet,
  block: string,
  { heads, eps }: BlipTextConfig,
  x: Tensor,
  image: Tensor,
  keyMask: Tensor | null,
): Tensor {
  const output = (name: string, y: Tensor, residual: Tensor) =>
    layerNormLayer(
      w,
      `${block}.${name}.LayerNorm`,
      linearLayer(w, `${block}.${name}.dense`, y, { residual }),
      eps,
    );
  const qkv = linearLayer(w, `${block}.attention.self.qkv`, x);
  const own = output(
    "attention.output",
    attention(...qkvNormRope([{ qkv }], { heads }), { keyMask }),
    x,
  );

  const cross = `${block}.crossattention`;
  const q = splitHeads(linearLayer(w, `${cross}.self.query`, own), heads);
  const [k, v] = split(linearLayer(w, `${cross}.self.kv`, image), 2, 2).map((part) =>
    splitHeads(part, heads),
  );
  const seen = output("crossattention.output", attention(q, k!, v!), own);

  return output("output", linearLayer(w, `${block}.intermediate.dense`, seen, { act }), seen);
}

function requireTexts(
  { positions }: BlipTextConfig,
  ids: TokenIds,
  mask: TokenIds,
  images: number,
): number {
  const length = ids[0]?.length ?? 0;
  if (
    length < 1 ||
    length > positions ||
    ids.length !== images ||
    mask.length !== images ||
    [...ids, ...mask].some((row) => row.length !== length)
  )
    throw new SrpoError(
      "ERR_SHAPE",
      `imageReward: ids: expected ${images} texts (and masks) of one length, 1 to ${positions}, got ` +
        `[${ids.map((row) => row.length).join(", ")}] and [${mask.map((row) => row.length).join(", ")}]`,
    );
  return length;
}

/**
 * The text encoder, each text attending to its own image.
 *
 * @param image - [B, M, Di], its image's tokens
 * @param ids - B texts of one length, padded
 * @param mask - 1 for tokens, 0 for padding that is not to be seen; none hides nothing
 * @returns [B, L, width]
 */
export function textHidden(
  w: ParameterSet,
  config: BlipTextConfig,
  image: Tensor,
  { ids, mask }: { ids: TokenIds; mask?: TokenIds | undefined },
  { recompute = false, trace }: TowerOptions = {},
): Tensor {
  const L = requireTexts(config, ids, mask ?? ids, image.dim(0));
  const keyMask =
    mask === undefined
      ? null
      : tensor(mask.flat(), [ids.length, L], { dtype: "int32", device: w.device });
  const words = embedding(w.get(`${text}.embeddings.word_embeddings.weight`), ids);
  const positions = w.rows(`${text}.embeddings.position_embeddings.weight`, 0, L);
  let x = layerNormLayer(w, `${text}.embeddings.LayerNorm`, addRows(words, positions), config.eps);
  const settings = { recompute: recompute && trace === undefined, trainable: w.trainable };
  for (let i = 0; i < config.layers; ++i) {
    const run = (...[t, seen]: Tensor[]) => [
      textBlock(w, `${text}.encoder.layer.${i}`, config, t!, seen!, keyMask),
    ];
    [x] = runBlock(run, [x, image], { ...settings, name: `text.${i}`, spent: [x] }) as [Tensor];
  }
  trace?.("text_hidden", x);
  return x;
}
