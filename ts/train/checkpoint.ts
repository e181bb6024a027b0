// A training checkpoint: a FLUX folder that others open, and beside it what a resumed run needs.
//
//   step-000020/
//     transformer/ ...         the trained weights, in bf16 or float32
//     vae/, text_encoder/ ...  the base model's, as they are
//     state/                   optimizer, exact weights, EMA: every bit
//     training.json            step, options, versions
//     manifest.json            size and hash of every file
import { existsSync, readdirSync, statSync } from "node:fs";
import path from "node:path";
import { saveFolder } from "../checkpoint/folder.js";
import type { FolderWriter } from "../checkpoint/folder_writer.js";
import { loadState, saveState } from "../checkpoint/state.js";
import { readJson, type Json } from "../checkpoint/strict_json.js";
import type { Flux } from "../models/flux/model.js";
import { fluxNames } from "../models/flux/names.js";
import { SrpoError } from "../native/error.js";
import { tensorsToWrite } from "../nn/save.js";
import type { Tensor } from "../tensor/tensor.js";

export interface TrainingCheckpoint {
  model: Flux;
  /** The folder that the model came from. */
  base: string;
  saveDtype: "float32" | "bfloat16";
  /** Everything that a resumed run continues from, exact weights included, by name. */
  state: Readonly<Record<string, Tensor>>;
  training: TrainingRecord;
}

/** training.json */
export interface TrainingRecord {
  step: number;
  method: string;
  seed: string;
  options: { readonly [name: string]: Json };
  version: string;
}

/** The files under a folder, by path relative to it. */
function filesUnder(folder: string, inside = ""): string[] {
  return readdirSync(path.join(folder, inside)).flatMap((name) => {
    const child = path.join(inside, name);
    return statSync(path.join(folder, child)).isDirectory() ? filesUnder(folder, child) : [child];
  });
}

// What a base folder may hold that is not the model's: an earlier run's, or the reward.
const notTheModel =
  /^(?:state|reward)[/\\]|^(?:training|manifest)\.json$|^transformer[/\\].*safetensors/;

async function copyBase(folder: FolderWriter, base: string): Promise<void> {
  for (const file of filesUnder(base))
    if (!notTheModel.test(file))
      await folder.link(file.split(path.sep).join("/"), path.join(base, file));
}

/** Writes a complete checkpoint, or nothing; see `saveFolder`. */
export async function saveCheckpoint(
  place: string,
  { model, base, saveDtype, state, training }: TrainingCheckpoint,
): Promise<void> {
  await saveFolder(place, async (folder) => {
    await folder.sharded(
      "transformer/diffusion_pytorch_model",
      tensorsToWrite(model.parameters, fluxNames(model.config, "diffusers"), { dtype: saveDtype }),
      { metadata: { format: "pt" } },
    );
    await saveState(folder, "state/state", { tensors: state, json: { step: training.step } });
    await folder.json("training.json", training);
    await copyBase(folder, base);
  });
}

/** @throws SrpoError ERR_CHECKPOINT for a folder that is no training checkpoint */
export function readTraining(place: string): TrainingRecord {
  const file = path.join(place, "training.json");
  if (!existsSync(file))
    throw new SrpoError(
      "ERR_CHECKPOINT",
      `${place}: expected a training checkpoint, got a folder without training.json`,
    );
  return readJson(file) as unknown as TrainingRecord;
}

/** Reads the state of a checkpoint into tensors of the same names, bit for bit. */
export async function loadTrainingState(
  place: string,
  state: Readonly<Record<string, Tensor>>,
): Promise<void> {
  await loadState(path.join(place, "state"), "state", state);
}
