import path from "node:path";
import type { Tensor } from "../tensor/tensor.js";
import { fileDTypeOf } from "./file_dtype.js";
import type { FolderWriter } from "./folder_writer.js";
import { SafetensorsFile } from "./safetensors.js";
import { refuseAll } from "./store_set.js";
import { readJson, type Json } from "./strict_json.js";

/** Named tensors and a value: an optimizer's moments and step, counters of random numbers, ... */
export interface SavedState {
  readonly tensors: Readonly<Record<string, Tensor>>;
  readonly json: Json;
}

/** Writes `NAME.safetensors` and `NAME.json`, every bit as it is. */
export async function saveState(
  folder: FolderWriter,
  name: string,
  { tensors, json }: SavedState,
): Promise<void> {
  const entries = Object.entries(tensors).map(([key, tensor]) => ({ name: key, tensor }));
  await folder.safetensors(`${name}.safetensors`, entries);
  await folder.json(`${name}.json`, json);
}

/**
 * Reads what `saveState` wrote into tensors of the same names, shapes and dtypes, bit for bit.
 *
 * @returns the JSON value
 * @throws SrpoError ERR_CHECKPOINT that names every missing, unexpected and other tensor; nothing was
 *   read then
 */
export async function loadState(
  folder: string,
  name: string,
  tensors: Readonly<Record<string, Tensor>>,
): Promise<Json> {
  const json = readJson(path.join(folder, `${name}.json`));
  using file = SafetensorsFile.open(path.join(folder, `${name}.safetensors`));
  const text = (dtype: string, shape: readonly number[]) => `${dtype} [${shape.join(", ")}]`;
  const problems: string[] = [];
  for (const [key, tensor] of Object.entries(tensors)) {
    const expected = text(fileDTypeOf(tensor.dtype), tensor.shape);
    if (!file.has(key)) {
      problems.push(`${key}: expected ${expected}, got none`);
      continue;
    }
    const { dtype, shape } = file.info(key);
    const got = text(dtype, shape);
    if (got !== expected) problems.push(`${key}: expected ${expected}, got ${got}`);
  }
  for (const key of file.names())
    if (!Object.hasOwn(tensors, key)) problems.push(`${key}: expected no such tensor, got one`);
  refuseAll(file.origin, problems);
  for (const [key, tensor] of Object.entries(tensors)) await file.readInto(key, tensor);
  return json;
}
