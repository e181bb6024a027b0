// What a written file says of where it comes from.
import { createHash } from "node:crypto";
import { createReadStream, existsSync } from "node:fs";
import path from "node:path";
import { isObject, readJson } from "../../checkpoint/strict_json.js";
import { packageVersion } from "../../native/load.js";
import { fluxConfigJson, type FluxConfig } from "../flux/config.js";

/** The note that belongs to what is made from FLUX.1's weights. */
export function licenceNote(config: FluxConfig): string {
  return config.guidance
    ? "made from FLUX.1 [dev] or a model like it: the FLUX.1 [dev] Non-Commercial License of its weights goes with them"
    : "made from FLUX.1 [schnell] or a model like it: its weights are under Apache-2.0";
}

async function sha256(file: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 22 }))
    hash.update(chunk as Buffer);
  return hash.digest("hex");
}

/** The recipe of a training checkpoint: its training.json, if the model lies in one. */
function recipeOf(place: string): string | undefined {
  for (const folder of [place, path.dirname(place)]) {
    const file = path.join(folder, "training.json");
    if (!existsSync(file)) continue;
    const json = readJson(file);
    return isObject(json) ? JSON.stringify(json) : undefined;
  }
  return undefined;
}

/**
 * A file's metadata: the config, which a reader of the file alone needs, the hashes of the files that it was made
 * from, this package's version, the recipe of a training checkpoint and the licence note.
 */
export async function provenance(
  config: FluxConfig,
  { place, files }: { place: string; files: readonly string[] },
): Promise<Record<string, string>> {
  const hashes: string[] = [];
  for (const file of files) hashes.push(`${path.basename(file)} ${await sha256(file)}`);
  const recipe = recipeOf(place);
  return {
    format: "pt",
    "config.transformer": JSON.stringify(fluxConfigJson(config)),
    "srpo.source_sha256": hashes.join("; "),
    "srpo.version": packageVersion,
    ...(recipe !== undefined && { "srpo.recipe": recipe }),
    license: licenceNote(config),
  };
}
