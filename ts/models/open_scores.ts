// The rewards that are no two towers: the aesthetic predictor and ImageReward, from their public files.
import { readdirSync } from "node:fs";
import path from "node:path";
import { openTensorFile, openTensors } from "../checkpoint/sharded.js";
import { StoreSet } from "../checkpoint/store_set.js";
import type { TensorStore } from "../checkpoint/tensor_store.js";
import { SrpoError } from "../native/error.js";
import { loadParameters } from "../nn/load.js";
import { imageRewardConfig } from "./image_reward/config.js";
import { ImageReward } from "./image_reward/model.js";
import { imageRewardNames } from "./image_reward/names.js";
import type { OpenOptions } from "./open.js";
import { configWith, isFolder } from "./part_config.js";
import { so400mConfigJson } from "./public_configs.js";
import { aestheticConfig } from "./siglip/config.js";
import { AestheticPredictor } from "./siglip/model.js";
import { aestheticNamesIn } from "./siglip/names.js";

/** What a reward's file holds, told by the names of its tensors. */
export type RewardKind = "two-tower" | "aesthetic" | "image-reward";

const isHead = (name: string) => /^(?:layers\.)?scoring_head\./.test(name);

/** @throws SrpoError ERR_CHECKPOINT for a place without tensors */
export function rewardKindAt(place: string): RewardKind {
  using store = openTensors(place);
  const names = [...store.names()];
  if (names.some((name) => name.startsWith("blip."))) return "image-reward";
  if (names.some((name) => name === "vision_model.head.probe" || isHead(name))) return "aesthetic";
  return "two-tower";
}

/** The folder of a file, or the folder itself. */
const folderOf = (place: string) => (isFolder(place) ? place : path.dirname(place));

const tensorFile = /\.(?:safetensors|bin|pt|pth)$/;

/** The head beside a tower: the file of the folder that holds one; those that say so by their name first. */
function openHead(folder: string, tower: TensorStore): TensorStore {
  const told = (name: string) => Number(/aesthetic|head/i.test(name));
  const files = readdirSync(folder)
    .filter((name) => tensorFile.test(name) && path.join(folder, name) !== tower.origin)
    .toSorted((a, b) => told(b) - told(a));
  for (const name of files) {
    const store = openTensorFile(path.join(folder, name));
    if ([...store.names()].some(isHead)) return store;
    store.close();
  }
  throw new SrpoError(
    "ERR_CHECKPOINT",
    `${folder}: expected the aesthetic head, aesthetic_predictor_v2_5.pth, beside the SigLIP, got none`,
  );
}

/** Tower and head as one space of names, from one file or two. */
function openPredictor(place: string): TensorStore {
  const named = openTensors(place);
  const names = [...named.names()];
  const tower = names.some((name) => name.startsWith("vision_model."));
  if (tower && names.some(isHead)) return named;
  const folder = folderOf(place);
  if (!tower) named.close(); // the head's own file: its folder has the tower
  const store = tower ? named : openTensors(folder);
  const head = openHead(folder, store);
  const homes = [store, head].flatMap((file) =>
    [...file.names()].map((name) => [name, file] as const),
  );
  return new StoreSet(folder, [store, head], new Map(homes));
}

/**
 * Aesthetic Predictor v2.5: a SigLIP (folder, or file beside its config.json) with the head's file beside it,
 * or both in one file. Without a config it is so400m/14 at 384.
 *
 * @throws SrpoError ERR_CONFIG with every wrong value, ERR_CHECKPOINT with every wrong tensor
 */
export async function openAestheticPredictor(
  place: string,
  { onProgress, ...options }: OpenOptions = {},
): Promise<AestheticPredictor> {
  using store = openPredictor(place);
  const config = aestheticConfig(configWith(folderOf(place), store, "reward") ?? so400mConfigJson);
  const model = new AestheticPredictor(config, options);
  try {
    await loadParameters(
      model.parameters,
      aestheticNamesIn(config, store.names()),
      store,
      onProgress,
    );
    return model;
  } catch (error) {
    model.dispose();
    throw error;
  }
}

/**
 * ImageReward: `ImageReward.pt`, or its folder, with med_config.json (config.json for one of other sizes)
 * beside it. Without a config it is v1.0.
 *
 * @throws SrpoError as `openAestheticPredictor`
 */
export async function openImageReward(
  place: string,
  { onProgress, ...options }: OpenOptions = {},
): Promise<ImageReward> {
  using store = openTensors(place);
  const json = (name: string) => configWith(folderOf(place), store, "reward", name);
  const config = imageRewardConfig(json("med_config.json") ?? json("config.json") ?? {});
  const model = new ImageReward(config, options);
  try {
    await loadParameters(model.parameters, imageRewardNames(config), store, onProgress);
    return model;
  } catch (error) {
    model.dispose();
    throw error;
  }
}
