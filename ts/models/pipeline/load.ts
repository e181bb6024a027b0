// The models of a FLUX folder, and a reward with its tokenizer.
import { existsSync } from "node:fs";
import path from "node:path";
import { readJson } from "../../checkpoint/strict_json.js";
import type { ParameterSetOptions } from "../../nn/parameter_set.js";
import { ClipTokenizer } from "../../text/clip_tokenizer.js";
import { T5Tokenizer } from "../../text/t5_tokenizer.js";
import type { Autoencoder } from "../autoencoder/model.js";
import type { AutoencoderPart } from "../autoencoder/parameters.js";
import type { TwoTower } from "../clip/two_tower.js";
import type { Flux } from "../flux/model.js";
import { openAutoencoder, openClipText, openFlux, openT5, openTwoTower } from "../open.js";
import { requireParts } from "./folder.js";
import { TextEncoders } from "./text_encoders.js";

/** The transformer of a FLUX folder. */
export function loadTransformer(root: string, options: ParameterSetOptions): Promise<Flux> {
  requireParts(root, ["transformer"]);
  return openFlux(path.join(root, "transformer"), options);
}

/** The autoencoder of a FLUX folder, or one half of it. */
export function loadAutoencoder(
  root: string,
  options: ParameterSetOptions & { parts: readonly AutoencoderPart[] },
): Promise<Autoencoder> {
  requireParts(root, ["vae"]);
  return openAutoencoder(path.join(root, "vae"), options);
}

/** The longest text that a tokenizer folder says its model takes. */
function tokenLimit(folder: string, fallback: number): number {
  const file = path.join(folder, "tokenizer_config.json");
  if (!existsSync(file)) return fallback;
  const limit = (readJson(file) as { model_max_length?: unknown }).model_max_length;
  // transformers writes 1e30 where it knows no limit.
  return typeof limit === "number" && Number.isInteger(limit) && limit <= 65536 ? limit : fallback;
}

/** Both text encoders of a FLUX folder with their tokenizers, frozen. */
export async function loadTextEncoders(
  root: string,
  options: ParameterSetOptions,
): Promise<TextEncoders> {
  requireParts(root, ["text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2"]);
  const folder = (part: string) => path.join(root, part);
  const clip = await openClipText(folder("text_encoder"), options);
  const t5 = await openT5(folder("text_encoder_2"), options);
  const clipTokenizer = await ClipTokenizer.load(folder("tokenizer"), {
    variant: "hf",
    maxLength: Math.min(tokenLimit(folder("tokenizer"), 77), clip.config.positions),
  });
  const t5Tokenizer = await T5Tokenizer.load(folder("tokenizer_2"), {
    maxLength: tokenLimit(folder("tokenizer_2"), 512),
  });
  return new TextEncoders(clip, clipTokenizer, t5, t5Tokenizer);
}

/** A reward's two towers and its tokenizer. */
export interface LoadedReward {
  tower: TwoTower;
  tokenizer: ClipTokenizer;
  /** `hf` hides padding from the text tower and scales by exp(logit_scale), `open_clip` does not. */
  layout: "open_clip" | "hf";
}

/**
 * A reward folder: `open_clip_config.json` beside `open_clip_model.safetensors` (HPSv2.1), or
 * transformers' CLIPModel (PickScore), each with `vocab.json` and `merges.txt`.
 *
 * @param options.vocabulary - a tokenizer folder, for rewards that bring none (HPS takes FLUX's own)
 */
export async function loadTwoTower(
  folder: string,
  options: ParameterSetOptions & { vocabulary?: string },
): Promise<LoadedReward> {
  const { vocabulary, ...rest } = options;
  const layout = existsSync(path.join(folder, "open_clip_config.json")) ? "open_clip" : "hf";
  const tower = await openTwoTower(folder, rest);
  const own = existsSync(path.join(folder, "vocab.json"));
  const tokenizer = await ClipTokenizer.load(own ? folder : (vocabulary ?? folder), {
    variant: layout,
    maxLength: tower.config.text.positions,
  });
  return { tower, tokenizer, layout };
}
