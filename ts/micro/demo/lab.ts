import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { SrpoError } from "../../native/error.js";
import { packageRoot } from "../../native/load.js";
import { openMicroWorld, type MicroWorld } from "../evaluation/world.js";
import type { Split } from "../scenes.js";

/** The models that come with the package. */
export const shippedModels = path.join(packageRoot, "assets", "micro");

/** How a policy is judged, and how often while it trains. */
export interface Budget {
  split: Split;
  prompts: number;
  /** Of each prompt. */
  pictures: number;
  /** Euler steps. */
  steps: number;
  /** Updates between two looks while training; 0: none. */
  lookEvery: number;
}

/** What runs of the demo share. */
export interface Lab {
  world: MicroWorld;
  /** The folder of the models. */
  model: string;
  /** Tells these models from others in the names of what was measured with them. */
  weights: string;
  /** Where everything goes. */
  place: string;
  budget: Budget;
  /** Of the cpu device; 0: all. Nothing depends on it. */
  threads: number;
  signal: AbortSignal;
}

/** What a folder's weights are known by: its manifest, which has a hash of every file. */
function fingerprint(model: string): string {
  const hash = createHash("sha256");
  for (const name of ["manifest.json", "transformer/config.json", "judges/limits.json"]) {
    const file = path.join(model, name);
    if (existsSync(file)) hash.update(readFileSync(file));
  }
  return hash.digest("hex").slice(0, 16);
}

/**
 * Opens the models that a demo runs on.
 *
 * @throws SrpoError ERR_CONFIG where there are none, ERR_CHECKPOINT where something of them is missing
 */
export async function openLab(options: Omit<Lab, "world" | "weights">): Promise<Lab> {
  const { model } = options;
  if (!existsSync(path.join(model, "transformer")))
    throw new SrpoError(
      "ERR_CONFIG",
      `model: expected the micro models, got none at ${model}; ` +
        '"srpo-native pretrain micro --out pretrained" trains them, then --model pretrained/micro',
    );
  return { ...options, world: await openMicroWorld(model), weights: fingerprint(model) };
}
