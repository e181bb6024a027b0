// What a written file says of where it comes from.
import { createReadStream, existsSync } from "node:fs";
import { stat } from "node:fs/promises";
import path from "node:path";
import { Hasher } from "../../checkpoint/hasher.js";
import { isObject, readJson } from "../../checkpoint/strict_json.js";
import { commitOf } from "../../native/commit.js";
import { packageVersion } from "../../native/load.js";
import { openTensors } from "../../checkpoint/sharded.js";
import { StoreSet } from "../../checkpoint/store_set.js";
import type { TensorStore } from "../../checkpoint/tensor_store.js";
import { fluxConfigJson, fluxDev, type FluxConfig } from "../flux/config.js";

/** The note that belongs to what is made from a model: its own, or what follows from its being of FLUX.1's width. */
export function licenceNote(config: FluxConfig, { metadata }: TensorStore): string {
  const own = metadata.get("license");
  if (own !== undefined) return own;
  const { heads, headSize, contextSize } = fluxDev;
  if (config.heads !== heads || config.headSize !== headSize || config.contextSize !== contextSize)
    return "made from a model that is not of FLUX.1's sizes and names no licence: its own goes with what is made from it";
  return config.guidance
    ? "made from FLUX.1 [dev] or a model like it: the FLUX.1 [dev] Non-Commercial License of its weights goes with them"
    : "made from FLUX.1 [schnell] or a model like it: its weights are under Apache-2.0";
}

const known = new Map<string, string>();

/** A file's hash; read once a process, as long as it is of the same size and time. */
async function sha256(file: string): Promise<string> {
  const { size, mtimeMs } = await stat(file);
  const key = [path.resolve(file), size, mtimeMs].join(" ");
  const before = known.get(key);
  if (before !== undefined) return before;
  const hasher = new Hasher();
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 22 }))
    await hasher.update(chunk as Buffer);
  const digest = await hasher.digest();
  known.set(key, digest);
  return digest;
}

/** The recipe of a training checkpoint: its training.json, if the model lies in one. */
export function recipeOf(place: string): string | undefined {
  for (const folder of [place, path.dirname(place)]) {
    const file = path.join(folder, "training.json");
    if (!existsSync(file)) continue;
    const json = readJson(file);
    return isObject(json) ? JSON.stringify(json) : undefined;
  }
  return undefined;
}

async function hashesOf(files: readonly string[]): Promise<string> {
  const hashes: string[] = [];
  for (const file of files) hashes.push(`${path.basename(file)} ${await sha256(file)}`);
  return hashes.join("; ");
}

/** The files that tensors lie in. */
function filesOf(store: TensorStore): readonly string[] {
  return store instanceof StoreSet ? store.files : [store.origin];
}

const ofThisPackage = () => ({ "srpo.version": packageVersion, "srpo.commit": commitOf() });

/**
 * The metadata of what was trained from a base, a LoRA or all weights: the hashes of the base transformer, this
 * package's version and commit, the recipe where it was trained here, and the licence note of the base.
 *
 * @param base - the transformer's file or folder
 */
export async function trainedProvenance(
  config: FluxConfig,
  base: string,
  recipe?: string,
): Promise<Record<string, string> & { license: string }> {
  using store = openTensors(base);
  return {
    format: "pt",
    "srpo.base_sha256": await hashesOf(filesOf(store)),
    ...ofThisPackage(),
    ...(recipe !== undefined && { "srpo.recipe": recipe }),
    license: licenceNote(config, store),
  };
}

/**
 * A file's metadata: the config, which a reader of the file alone needs, the hashes of the files that it was made
 * from, this package's version and commit, the recipe of a training checkpoint and the licence note.
 */
export async function provenance(
  config: FluxConfig,
  { place, store }: { place: string; store: TensorStore },
): Promise<Record<string, string>> {
  const recipe = recipeOf(place);
  return {
    format: "pt",
    "config.transformer": JSON.stringify(fluxConfigJson(config)),
    "srpo.source_sha256": await hashesOf(filesOf(store)),
    ...ofThisPackage(),
    ...(recipe !== undefined && { "srpo.recipe": recipe }),
    license: licenceNote(config, store),
  };
}
