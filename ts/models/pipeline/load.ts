// The models of a FLUX folder or file, and a reward with its tokenizer.
import { existsSync } from "node:fs";
import path from "node:path";
import { readJson } from "../../checkpoint/strict_json.js";
import { SrpoError } from "../../native/error.js";
import { ClipTokenizer } from "../../text/clip_tokenizer.js";
import { T5Tokenizer } from "../../text/t5_tokenizer.js";
import type { Autoencoder } from "../autoencoder/model.js";
import type { AutoencoderPart } from "../autoencoder/parameters.js";
import type { TwoTower } from "../clip/two_tower.js";
import { fluxConfig } from "../flux/config.js";
import type { Flux } from "../flux/model.js";
import {
  openAutoencoder,
  openClipText,
  openFlux,
  openT5,
  openTwoTower,
  openTwoTowerFacts,
  type OpenOptions,
  type TwoTowerFacts,
} from "../open.js";
import { isFolder } from "../part_config.js";
import { requireParts } from "./folder.js";
import { baseFolder, folderPlace, partPlace, type ModelPlace } from "./places.js";
import { TextEncoders } from "./text_encoders.js";

/** The transformer of a FLUX folder, or of a file beside one; see `ModelPlaces`. */
export function loadTransformer(model: ModelPlace, options: OpenOptions): Promise<Flux> {
  const place = partPlace(model, "transformer");
  const beside = path.join(baseFolder(model), "transformer", "config.json");
  const axes = existsSync(beside) ? fluxConfig(readJson(beside)).axes : undefined;
  return openFlux(place, { ...options, axes });
}

/** The autoencoder of a FLUX model, or one half of it. */
export function loadAutoencoder(
  model: ModelPlace,
  options: OpenOptions & { parts: readonly AutoencoderPart[] },
): Promise<Autoencoder> {
  return openAutoencoder(partPlace(model, "vae"), options);
}

/** The longest text that a tokenizer folder says its model takes. */
function tokenLimit(folder: string, fallback: number): number {
  const file = path.join(folder, "tokenizer_config.json");
  if (!existsSync(file)) return fallback;
  const limit = (readJson(file) as { model_max_length?: unknown }).model_max_length;
  // transformers writes 1e30 where it knows no limit.
  return typeof limit === "number" && Number.isInteger(limit) && limit <= 65536 ? limit : fallback;
}

/** Both text encoders of a FLUX model with their tokenizers, frozen. */
export async function loadTextEncoders(
  model: ModelPlace,
  options: OpenOptions,
): Promise<TextEncoders> {
  const places = [partPlace(model, "text_encoder"), partPlace(model, "text_encoder_2")] as const;
  const [clipFolder, t5Folder] = (["tokenizer", "tokenizer_2"] as const).map((part) => {
    const folder = folderPlace(model, part);
    requireParts(path.dirname(folder), [part]);
    return folder;
  }) as [string, string];
  const clip = await openClipText(places[0], options);
  const t5 = await openT5(places[1], options);
  const clipTokenizer = await ClipTokenizer.load(clipFolder, {
    variant: "hf",
    maxLength: Math.min(tokenLimit(clipFolder, 77), clip.config.positions),
  });
  const t5Tokenizer = await T5Tokenizer.load(t5Folder, { maxLength: tokenLimit(t5Folder, 512) });
  return new TextEncoders(clip, clipTokenizer, t5, t5Tokenizer);
}

/** A reward's two towers and its tokenizer. */
export interface LoadedReward extends TwoTowerFacts {
  tower: TwoTower;
  tokenizer: ClipTokenizer;
}

/**
 * A two-tower reward: the file or folder of HPSv2.1 (`HPS_v2.1_compressed.pt` too), of LAION's CLIP or of
 * PickScore; see `openTwoTower`.
 *
 * @param options.vocabulary - a tokenizer folder, for rewards that bring none (HPS takes FLUX's own)
 */
export async function loadTwoTower(
  place: string,
  options: OpenOptions & { vocabulary?: string },
): Promise<LoadedReward> {
  const { vocabulary, ...rest } = options;
  const folder = isFolder(place) ? place : path.dirname(place);
  const own = existsSync(path.join(folder, "vocab.json"));
  if (!own && vocabulary === undefined)
    throw new SrpoError(
      "ERR_CHECKPOINT",
      `${folder}: expected vocab.json and merges.txt beside the reward, or a CLIP tokenizer's folder as its ` +
        "vocabulary (--vocabulary), got neither",
    );
  const facts = await openTwoTowerFacts(place);
  const tower = await openTwoTower(place, rest);
  const tokenizer = await ClipTokenizer.load(own ? folder : (vocabulary ?? folder), {
    variant: facts.layout,
    maxLength: tower.config.text.positions,
  });
  return { tower, tokenizer, ...facts };
}
