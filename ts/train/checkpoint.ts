// A training checkpoint: a FLUX folder that others open, and beside it what a resumed run needs.
//
//   step-000020/
//     transformer/ ...         the trained weights, in bf16 or float32
//     vae/, text_encoder/ ...  the base model's, as they are
//     state/                   optimizer, exact weights, EMA: every bit
//     training.json            step, options, versions
//     manifest.json            size and hash of every file
//
// Of a LoRA's training: pytorch_lora_weights.safetensors, in diffusers' and PEFT's naming, in the place of
// transformer/ and the rest of the model.
import { existsSync, readdirSync, statSync } from "node:fs";
import path from "node:path";
import { isDeepStrictEqual } from "node:util";
import { saveFolder } from "../checkpoint/folder.js";
import type { FolderWriter } from "../checkpoint/folder_writer.js";
import { loadState, saveState } from "../checkpoint/state.js";
import { isObject, readJson, type Json } from "../checkpoint/strict_json.js";
import type { EvaluationState } from "./evaluations.js";
import { fluxConfig, fluxConfigJson } from "../models/flux/config.js";
import type { Flux } from "../models/flux/model.js";
import { trainedProvenance } from "../models/convert/provenance.js";
import { fluxNames } from "../models/flux/names.js";
import { loraFile } from "../models/lora/write.js";
import { SrpoError } from "../native/error.js";
import type { Lora } from "../nn/lora.js";
import { tensorsToWrite } from "../nn/save.js";
import type { Tensor } from "../tensor/tensor.js";

export interface TrainingCheckpoint {
  model: Flux;
  /** What was trained, where it is not the model itself: it is written alone then. */
  lora?: Lora | undefined;
  /** The file or folder that the model's weights came from. */
  transformer: string;
  /** [n], float32: the weights as the update knows them, for `saveDtype` float32. */
  master: Tensor | undefined;
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
  /** Of a run that is evaluated. */
  evaluation?: EvaluationState;
}

const deepest = 3; // of a pipeline's folders

/** The files under a folder, not too deep, by path relative to it. */
function filesUnder(folder: string, inside = ""): string[] {
  if (inside.split(path.sep).length > deepest) return [];
  return readdirSync(path.join(folder, inside)).flatMap((name) => {
    const child = path.join(inside, name);
    return statSync(path.join(folder, child)).isDirectory() ? filesUnder(folder, child) : [child];
  });
}

// What of the base folder belongs to the model: others' single files, runs and rewards beside it do not.
const ofTheModel =
  /^(?:vae|text_encoder|text_encoder_2|tokenizer|tokenizer_2|scheduler)[/\\]|^model_index\.json$|^LICENSE/;
const configFile = path.join("transformer", "config.json");

/** The base's own config if it says this model's sizes, else one that does: a file may stand for another model. */
async function writeConfig(folder: FolderWriter, base: string, { config }: Flux): Promise<void> {
  const own = path.join(base, configFile);
  if (existsSync(own) && isDeepStrictEqual(fluxConfig(readJson(own)), config))
    await folder.link("transformer/config.json", own);
  else await folder.json("transformer/config.json", fluxConfigJson(config));
}

async function copyBase(folder: FolderWriter, base: string): Promise<void> {
  for (const file of filesUnder(base))
    if (ofTheModel.test(file))
      await folder.link(file.split(path.sep).join("/"), path.join(base, file));
}

/** The LoRA alone, in the file that diffusers and PEFT look for. */
async function writeLora(
  folder: FolderWriter,
  lora: Lora,
  { model, master, saveDtype, transformer, training }: TrainingCheckpoint,
): Promise<void> {
  const { tensors, metadata } = await loraFile(lora, model.config, {
    naming: "diffusers",
    dtype: saveDtype,
    from: master,
  });
  await folder.safetensors("pytorch_lora_weights.safetensors", tensors, {
    ...(await trainedProvenance(model.config, transformer, JSON.stringify(training))),
    ...metadata,
  });
}

/**
 * Writes a complete checkpoint, or nothing; see `saveFolder`. One of the same step is replaced: a run that
 * went on from an earlier one arrives there again.
 */
export async function saveCheckpoint(place: string, checkpoint: TrainingCheckpoint): Promise<void> {
  const { model, lora, master, base, saveDtype, state, training, transformer } = checkpoint;
  const write = async (folder: FolderWriter): Promise<void> => {
    await saveState(folder, "state/state", { tensors: state, json: { step: training.step } });
    await folder.json("training.json", training);
    if (lora !== undefined) {
      await writeLora(folder, lora, checkpoint);
      return;
    }
    await folder.sharded(
      "transformer/diffusion_pytorch_model",
      tensorsToWrite(model.parameters, fluxNames(model.config, "diffusers"), {
        dtype: saveDtype,
        from: master ?? model.parameters.weights,
      }),
      { metadata: await trainedProvenance(model.config, transformer, JSON.stringify(training)) },
    );
    await copyBase(folder, base);
    await writeConfig(folder, base, model);
  };
  await saveFolder(place, write, { replace: true });
}

/** @throws SrpoError ERR_CHECKPOINT for a folder that is no training checkpoint */
export function readTraining(place: string): TrainingRecord {
  const file = path.join(place, "training.json");
  if (!existsSync(file))
    throw new SrpoError(
      "ERR_CHECKPOINT",
      `${place}: expected a training checkpoint, got a folder without training.json`,
    );
  const record = readJson(file);
  const step = isObject(record) ? record["step"] : undefined;
  if (!isObject(record) || typeof step !== "number" || !Number.isSafeInteger(step) || step < 0)
    throw new SrpoError(
      "ERR_CHECKPOINT",
      `${file}: step: expected a whole number, 0 or more, got ${JSON.stringify(step)}`,
    );
  return record as unknown as TrainingRecord;
}

/** Reads the state of a checkpoint into tensors of the same names, bit for bit. */
export async function loadTrainingState(
  place: string,
  state: Readonly<Record<string, Tensor>>,
): Promise<void> {
  await loadState(path.join(place, "state"), "state", state);
}
