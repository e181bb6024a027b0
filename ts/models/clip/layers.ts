import { layerNormLayer } from "../../nn/layers.js";
import type { ParameterSet } from "../../nn/parameter_set.js";
import { runBlock } from "../../nn/block.js";
import { addRows, embedding, gatherRows } from "../../ops/index.js";
import { SrpoError } from "../../native/error.js";
import { tensor, type Tensor } from "../../tensor/tensor.js";
import { preNormBlock, type PreNormBlockNames } from "../pre_norm_block.js";
import type { TokenIds } from "../token_ids.js";
import { legacyEndToken, type ClipTextConfig, type TowerConfig } from "./config.js";

export interface TowerOptions {
  /** Run each block again in backward instead of keeping what it saves. Default false. */
  readonly recompute?: boolean;
  readonly trace?: ((name: string, t: Tensor) => void) | undefined;
}

/** A block's layers by OpenCLIP's names. */
function blockNames(block: string): PreNormBlockNames {
  return {
    norm1: `${block}.ln_1`,
    qkv: `${block}.attn.in_proj`,
    out: `${block}.attn.out_proj`,
    norm2: `${block}.ln_2`,
    up: `${block}.mlp.c_fc`,
    down: `${block}.mlp.c_proj`,
  };
}

/** Every block of a tower, on tokens [B, L, width]. */
export function tower(
  w: ParameterSet,
  name: string,
  config: TowerConfig,
  x: Tensor,
  mask: { causal: boolean; keyMask?: Tensor },
  { recompute = false, trace }: TowerOptions = {},
): Tensor {
  const settings = { recompute: recompute && trace === undefined, trainable: w.trainable };
  trace?.("hidden.0", x);
  for (let i = 0; i < config.layers; ++i) {
    const run = (t?: Tensor) => [
      preNormBlock(w, blockNames(`${name}resblocks.${i}`), { ...config, mask }, t!),
    ];
    const spent = trace === undefined ? [x] : [];
    [x] = runBlock(run, [x], { ...settings, name: `${name}resblocks.${i}`, spent }) as [Tensor];
    trace?.(`hidden.${i + 1}`, x);
  }
  return x;
}

function requireTexts(config: ClipTextConfig, ids: TokenIds): number {
  const length = ids[0]?.length ?? 0;
  if (length < 1 || length > config.positions || ids.some((row) => row.length !== length))
    throw new SrpoError(
      "ERR_SHAPE",
      `clip: ids: expected texts of one length, 1 to ${config.positions}, got ` +
        `[${ids.map((row) => row.length).join(", ")}]`,
    );
  return length;
}

/**
 * The text tower up to its last norm.
 *
 * @param mask - 1 for tokens, 0 for padding that is not to be seen; none hides nothing
 * @returns [B, L, width]
 */
export function textTower(
  w: ParameterSet,
  config: ClipTextConfig,
  ids: TokenIds,
  mask: TokenIds | undefined,
  options: TowerOptions = {},
): Tensor {
  const L = requireTexts(config, ids);
  const positions = w.rows("positional_embedding", 0, L);
  const x = addRows(embedding(w.get("token_embedding.weight"), ids), positions);
  const hidden =
    mask === undefined
      ? { causal: true }
      : {
          causal: true,
          keyMask: tensor(mask.flat(), [ids.length, L], { dtype: "int32", device: w.device }),
        };
  const y = tower(w, "transformer.", config, x, hidden, options);
  return layerNormLayer(w, "ln_final", y, config.eps);
}

/** Where each text's end token stands: the first, or by the legacy rule the first of the largest id. */
export function endTokenIndex({ endToken }: ClipTextConfig, ids: TokenIds): number[] {
  return ids.map((row) => {
    const wanted = endToken === legacyEndToken ? row.reduce((a, b) => Math.max(a, b)) : endToken;
    // transformers' argmax over a row without the token gives 0.
    return Math.max(row.indexOf(wanted), 0);
  });
}

/** The rows of the end tokens, [B, width]. */
export function pooledText(config: ClipTextConfig, hidden: Tensor, ids: TokenIds): Tensor {
  return gatherRows(hidden, endTokenIndex(config, ids));
}
