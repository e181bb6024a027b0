// Where each part of a FLUX pipeline is read from: a diffusers folder, or a file beside one.
import { existsSync, readdirSync } from "node:fs";
import path from "node:path";
import { openTensors, tensorSuffixes } from "../../checkpoint/sharded.js";
import { SrpoError } from "../../native/error.js";
import { autoencoderMark, autoencoderPrefixes } from "../autoencoder/names.js";
import { clipTextMark, textPrefixes } from "../clip/names.js";
import { detectFluxNaming, fluxMarks } from "../flux/names.js";
import { isFolder, type ModelPart } from "../part_config.js";
import { t5Mark, t5Prefixes } from "../t5/names.js";

/** A FLUX model: a folder with its parts, or a file (or a folder with only that) and the folder of the rest. */
export interface ModelPlaces {
  /** A diffusers folder; or a transformer alone, an all-in-one file, a folder with one of them. */
  readonly model: string;
  /** The FLUX folder that has what `model` has not. Default: the folder that the file lies in, if it is one. */
  readonly base?: string | undefined;
}

/** A model's folder, or its places. */
export type ModelPlace = string | ModelPlaces;

type FilePart = Exclude<ModelPart, "reward">;
const fileParts: readonly FilePart[] = ["transformer", "vae", "text_encoder", "text_encoder_2"];
const folders = [...fileParts, "tokenizer", "tokenizer_2", "scheduler"];
// Loose files that are looked into for a part; more lie in no model's folder.
const mostLooseFiles = 64;

/** The models that are in a file, by the names of its tensors. */
export function partsIn(names: Iterable<string>): Set<FilePart> {
  const all = new Set(names);
  const has = (mark: string, prefixes: readonly string[]) =>
    ["", ...prefixes].some((prefix) => all.has(prefix + mark));
  const parts = new Set<FilePart>();
  const { prefix } = detectFluxNaming(all);
  if (fluxMarks.some((mark) => all.has(prefix + mark))) parts.add("transformer");
  if (has(autoencoderMark, autoencoderPrefixes)) parts.add("vae");
  if (has(clipTextMark, textPrefixes)) parts.add("text_encoder");
  if (has(t5Mark, t5Prefixes)) parts.add("text_encoder_2");
  return parts;
}

export function placesOf(place: ModelPlace): ModelPlaces {
  return typeof place === "string" ? { model: place } : place;
}

const hasFolders = (folder: string) => folders.some((part) => isFolder(path.join(folder, part)));

/** The folder of a model's tokenizers, scheduler and of the parts that a single file has not. */
export function baseFolder(place: ModelPlace): string {
  const { model, base } = placesOf(place);
  if (!existsSync(model))
    throw new SrpoError(
      "ERR_CHECKPOINT",
      `${model}: expected a FLUX folder or a file of its weights, got none; ` +
        `"srpo-native init micro ${model}" makes a small one`,
    );
  if (isFolder(model) && hasFolders(model)) return model;
  if (base !== undefined) {
    if (isFolder(base)) return base;
    throw new SrpoError("ERR_CHECKPOINT", `${base}: base: expected a FLUX folder, got none`);
  }
  const beside = path.dirname(path.resolve(model));
  if (hasFolders(beside)) return beside;
  throw new SrpoError(
    "ERR_CHECKPOINT",
    `${model}: expected a FLUX folder with transformer, vae, text encoders and tokenizers, or a file beside one, ` +
      "got neither; name the folder that has the rest by --base",
  );
}

/** What a place holds, for a file or a folder of weights; nothing where it cannot be told. */
function heldBy(place: string): Set<FilePart> {
  using store = openTensors(place);
  return partsIn(store.names());
}

/** A file that lies in a folder and holds a part: `ae.safetensors`, `clip_l.safetensors`, ... */
function looseFile(folder: string, part: FilePart): string | undefined {
  const files = readdirSync(folder).filter((name) => tensorSuffixes.some((s) => name.endsWith(s)));
  return files
    .sort()
    .slice(0, mostLooseFiles)
    .map((name) => path.join(folder, name))
    .find((file) => {
      try {
        return heldBy(file).has(part);
      } catch {
        return false; // another model's, or none: the error at the end says what was looked for
      }
    });
}

/**
 * Where a part is: its folder in the model's, else the model's file if the part is in it, else the same in the
 * base folder, where a loose file that holds it counts too.
 *
 * @throws SrpoError ERR_CHECKPOINT that names what was looked at
 */
export function partPlace(place: ModelPlace, part: FilePart): string {
  const { model, base } = placesOf(place);
  const rest = baseFolder(place);
  for (const folder of [model, rest, base])
    if (folder !== undefined && folder !== rest && isFolder(path.join(folder, part)))
      return path.join(folder, part);
  if (rest !== model && heldBy(model).has(part)) return model;
  for (const folder of [rest, ...(base === undefined ? [] : [base])]) {
    if (isFolder(path.join(folder, part))) return path.join(folder, part);
    const file = looseFile(folder, part);
    if (file !== undefined) return file;
  }
  const looked = [...new Set([model, rest, ...(base === undefined ? [] : [base])])];
  throw new SrpoError(
    "ERR_CHECKPOINT",
    `${looked.join(", ")}: expected a FLUX model with ${part}, got none of it; name the folder that has it by --base`,
  );
}

/** A folder of the pipeline that holds no tensors: a tokenizer, the scheduler. */
export function folderPlace(
  place: ModelPlace,
  part: "tokenizer" | "tokenizer_2" | "scheduler",
): string {
  const rest = baseFolder(place);
  const { base } = placesOf(place);
  const inBase = base !== undefined && !isFolder(path.join(rest, part));
  return path.join(inBase ? base : rest, part);
}
