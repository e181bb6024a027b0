// A training checkpoint: a FLUX folder that others open, and beside it what a resumed run needs.
//
//   step-000020/
//     transformer/ ...         the trained weights, in bf16 or float32
//     vae/, text_encoder/ ...  the base model's, as they are
//     state/                   optimizer, exact weights, EMA: every bit; of several ranks a file each
//     training.json            step, options, versions
//     manifest.json            size and hash of every file
//
// Of a LoRA's training: pytorch_lora_weights.safetensors, in diffusers' and PEFT's naming, in the place of
// transformer/ and the rest of the model.
import { existsSync, readdirSync, statSync } from "node:fs";
import path from "node:path";
import { isDeepStrictEqual } from "node:util";
import type { FolderWriter } from "../checkpoint/folder_writer.js";
import { partName, partToWrite, readPart, type StatePart } from "../checkpoint/state_parts.js";
import { heldOnHost } from "../checkpoint/write.js";
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
  /** Everything that a resumed run continues from, exact weights included: this rank's part. */
  state: StatePart;
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

type Write = (folder: FolderWriter) => Promise<void>;

/** The LoRA alone, in the file that diffusers and PEFT look for. */
async function heldLora(
  lora: Lora,
  { model, master, saveDtype, transformer, training }: TrainingCheckpoint,
): Promise<Write> {
  const { tensors, metadata } = await loraFile(lora, model.config, {
    naming: "diffusers",
    dtype: saveDtype,
    from: master,
  });
  const held = await heldOnHost(tensors);
  return async (folder) =>
    folder.safetensors("pytorch_lora_weights.safetensors", held, {
      ...(await trainedProvenance(model.config, transformer, JSON.stringify(training))),
      ...metadata,
    });
}

/** The folder that others open. */
async function heldModel({
  model,
  master,
  base,
  saveDtype,
  transformer,
  training,
}: TrainingCheckpoint): Promise<Write> {
  const { parameters, config } = model;
  const from = master ?? parameters.weights;
  const names = fluxNames(config, "diffusers");
  const held = await heldOnHost(tensorsToWrite(parameters, names, { dtype: saveDtype, from }));
  return async (folder) => {
    const metadata = await trainedProvenance(config, transformer, JSON.stringify(training));
    await folder.sharded("transformer/diffusion_pytorch_model", held, { metadata });
    await copyBase(folder, base);
    await writeConfig(folder, base, model);
  };
}

/**
 * What this rank writes of a checkpoint, out of the device's memory: the weights may move on while it is written.
 * The first rank has the model beside its part of the state.
 *
 * @returns what fills the checkpoint's folder, once
 */
export async function heldCheckpoint(checkpoint: TrainingCheckpoint): Promise<Write> {
  const { lora, state, training } = checkpoint;
  const { tensors, metadata } = partToWrite(state);
  const held = await heldOnHost(tensors);
  const first = state.rank === 0;
  const model = !first ? undefined : lora ? heldLora(lora, checkpoint) : heldModel(checkpoint);
  const writeModel = await model;
  return async (folder) => {
    await folder.safetensors(`state/${partName("state", state)}.safetensors`, held, metadata);
    if (!first) return;
    await folder.json("state/state.json", { step: training.step });
    await folder.json("training.json", training);
    await writeModel?.(folder);
  };
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

/** Reads this rank's part of a checkpoint's state, whatever ranks wrote it, bit for bit. */
export async function loadTrainingState(place: string, state: StatePart): Promise<void> {
  await readPart(path.join(place, "state"), "state", state);
}
