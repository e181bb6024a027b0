import { existsSync, statSync } from "node:fs";
import path from "node:path";
import type { TensorStore } from "../checkpoint/tensor_store.js";
import { readJson, type Json } from "../checkpoint/strict_json.js";
import { SrpoError } from "../native/error.js";

/** The models that a checkpoint file may hold, by the folder that each has in the diffusers layout. */
export type ModelPart = "transformer" | "vae" | "text_encoder" | "text_encoder_2" | "reward";

/** Whether a place is a folder. */
export function isFolder(place: string): boolean {
  try {
    return statSync(place).isDirectory();
  } catch {
    return false; // nothing there, or something below a file
  }
}

/**
 * The config that comes with a model: the file in its folder, or what a single file's metadata holds under
 * `config.<part>` (this package's writers put it there). Undefined if neither is there.
 *
 * @throws SrpoError ERR_CHECKPOINT for a config that is no JSON
 */
export function configWith(
  place: string,
  store: TensorStore,
  part: ModelPart,
  name = "config.json",
): Json | undefined {
  const file = path.join(place, name);
  if (isFolder(place) && existsSync(file)) return readJson(file);
  const key = `config.${part}`;
  const text = store.metadata.get(key);
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as Json;
  } catch {
    throw new SrpoError(
      "ERR_CHECKPOINT",
      `${store.origin}: metadata ${key}: expected JSON, got ${JSON.stringify(text.slice(0, 60))}`,
    );
  }
}
