import { readdirSync, realpathSync, statSync } from "node:fs";
import path from "node:path";
import { SrpoError } from "../native/error.js";
import { shownText } from "./file_bytes.js";
import { fileKind } from "./file_kind.js";
import { SafetensorsFile } from "./safetensors.js";
import { withScales } from "./scaled_store.js";
import { refuseAll, StoreSet } from "./store_set.js";
import { isObject, readJson } from "./strict_json.js";
import type { TensorStore } from "./tensor_store.js";
import { TorchFile } from "./torch_file.js";

const suffix = ".safetensors";
/** Of files that may hold tensors: whether they do, their bytes say. */
export const tensorSuffixes = [suffix, ".bin", ".pt", ".pth", ".ckpt"];
const indexSuffix = ".index.json";
// More would use up the process's file descriptors.
const mostShards = 1000;

// What diffusers, transformers and open_clip call the weights of a folder, the first that is there.
const usualNames = [
  ...["diffusion_pytorch_model", "model", "open_clip_model"].map((base) => base + suffix),
  ...["diffusion_pytorch_model", "pytorch_model", "open_clip_pytorch_model"].map((b) => `${b}.bin`),
].flatMap((name) => [name, name + indexSuffix]);

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error));

/** Opens one file of tensors: safetensors or PyTorch's zip, by its bytes and not by its name. */
export function openTensorFile(file: string): TensorStore {
  return fileKind(file) === "torch" ? TorchFile.open(file) : SafetensorsFile.open(file);
}

/**
 * Opens the weights at a place: a file of tensors, an index, or a folder with one of them. Scaled 8-bit
 * weights have their true values.
 *
 * @throws SrpoError ERR_CHECKPOINT; of an index and its shards everything that is wrong, at once
 */
export function openTensors(place: string): TensorStore {
  const full = path.resolve(place);
  const stat = statSync(full, { throwIfNoEntry: false });
  const store =
    stat?.isDirectory() === true
      ? openFolder(full)
      : full.endsWith(".json")
        ? openIndex(full)
        : openTensorFile(full);
  try {
    return withScales(store);
  } catch (error) {
    store.close();
    throw error;
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch (error) {
    throw new SrpoError(
      "ERR_CHECKPOINT",
      `${folder}: folder: expected a readable folder, got ${messageOf(error)}`,
      { cause: error },
    );
  }
}

function openFolder(folder: string): TensorStore {
  const names = namesIn(folder);
  const found = usualNames.find((name) => names.includes(name)) ?? theOnly(folder, names);
  const file = path.join(folder, found);
  return found.endsWith(indexSuffix) ? openIndex(file) : openTensorFile(file);
}

function theOnly(folder: string, names: readonly string[]): string {
  const indices = names.filter((name) =>
    tensorSuffixes.some((s) => name.endsWith(s + indexSuffix)),
  );
  const files = names.filter((name) => tensorSuffixes.some((s) => name.endsWith(s)));
  const candidates = indices.length > 0 ? indices : files;
  if (candidates.length === 1) return candidates[0]!;
  throw new SrpoError(
    "ERR_CHECKPOINT",
    `${folder}: folder: expected one file of tensors (${tensorSuffixes.join(", ")}) or one ${indexSuffix}, got ` +
      (candidates.length === 0 ? "none" : `${candidates.slice(0, 5).join(", ")}; name the file`),
  );
}

/** Whether a shard's real path is one that its index may name. */
function isWithin(real: string, folder: string): boolean {
  const under = (root: string) => real.startsWith(root + path.sep);
  if (under(folder)) return true;
  // The hub's cache: snapshots/<revision>/... are links into blobs/ beside snapshots/.
  const parts = folder.split(path.sep);
  const snapshots = parts.lastIndexOf("snapshots");
  return snapshots > 0 && under(path.join(parts.slice(0, snapshots).join(path.sep), "blobs"));
}

/** Opens a shard, or says what is wrong with its name or its content. */
function openShard(folder: string, name: string): TensorStore | string {
  const shown = JSON.stringify(name.slice(0, 120));
  const plain =
    ["/", "\\", "\0"].every((c) => !name.includes(c)) &&
    tensorSuffixes.some((s) => name.endsWith(s));
  if (!plain) return `${shown}: expected the name of a ${suffix} file in the folder`;
  try {
    const file = path.join(folder, name);
    const real = realpathSync(file);
    if (!isWithin(real, realpathSync(folder)))
      return `${shown}: expected a file in the folder, got a link out of it`;
    return openTensorFile(file);
  } catch (error) {
    const missing = error instanceof Error && "code" in error && error.code === "ENOENT";
    return missing ? `${shown}: expected a file, got none` : messageOf(error);
  }
}

/** The weight_map of an index: the shard's name of each tensor. */
function readWeightMap(index: string): Map<string, string> {
  const json = readJson(index);
  const weightMap = isObject(json) ? json["weight_map"] : undefined;
  if (!isObject(weightMap))
    throw new SrpoError(
      "ERR_CHECKPOINT",
      `${index}: weight_map: expected an object of file names, got ${weightMap === undefined ? "none" : "something else"}`,
    );
  const homes = new Map<string, string>();
  for (const [tensor, file] of Object.entries(weightMap)) {
    if (typeof file !== "string")
      throw new SrpoError(
        "ERR_CHECKPOINT",
        `${index}: weight_map: expected a file name for ${shownText(tensor)}, got ${typeof file}`,
      );
    homes.set(tensor, file);
  }
  return homes;
}

function openIndex(index: string): TensorStore {
  const folder = path.dirname(index);
  const shardOf = readWeightMap(index);
  const names = [...new Set(shardOf.values())].sort();
  if (names.length > mostShards)
    refuseAll(index, [`weight_map: expected at most ${mostShards} files, got ${names.length}`]);

  const problems: string[] = [];
  const shards = new Map<string, TensorStore>();
  const holders = new Map<string, string[]>();
  for (const name of names) {
    const shard = openShard(folder, name);
    if (typeof shard === "string") {
      problems.push(shard);
      continue;
    }
    shards.set(name, shard);
    for (const tensor of shard.names()) {
      const others = holders.get(tensor);
      if (others === undefined) holders.set(tensor, [name]);
      else others.push(name);
    }
  }
  for (const [tensor, all] of holders)
    if (all.length > 1) problems.push(`${tensor}: expected in one shard, got in ${all.join(", ")}`);
  const homes = new Map<string, TensorStore>();
  for (const [tensor, name] of shardOf) {
    const shard = shards.get(name);
    if (shard?.has(tensor) === true) homes.set(tensor, shard);
    else if (shard !== undefined) problems.push(`${tensor}: expected in ${name}, got none there`);
  }
  const files = [...shards.values()];
  if (problems.length > 0) for (const file of files) file.close();
  refuseAll(index, problems);
  return new StoreSet(index, files, homes);
}

/**
 * Opens `NAME.safetensors` and every `NAME.PART.safetensors` beside it as one space of names: a fixture
 * that was split. The metadata is the first file's.
 *
 * @throws SrpoError ERR_CHECKPOINT; names that stand in two parts, all at once
 */
export function openParts(file: string): StoreSet {
  const full = path.resolve(file);
  const folder = path.dirname(full);
  const base = path.basename(full, suffix);
  const files = [SafetensorsFile.open(full)];
  const problems: string[] = [];
  for (const name of namesIn(folder)) {
    const part = name.slice(base.length + 1, -suffix.length);
    if (!name.startsWith(`${base}.`) || !name.endsWith(suffix) || !/^[\w-]+$/.test(part)) continue;
    try {
      files.push(SafetensorsFile.open(path.join(folder, name)));
    } catch (error) {
      problems.push(messageOf(error));
    }
  }
  const homes = new Map<string, TensorStore>();
  for (const part of files)
    for (const tensor of part.names()) {
      const other = homes.get(tensor);
      if (other !== undefined)
        problems.push(
          `${tensor}: expected in one part, got in ${path.basename(other.origin)} and ${path.basename(part.origin)}`,
        );
      homes.set(tensor, part);
    }
  if (problems.length > 0) for (const part of files) part.close();
  refuseAll(full, problems);
  return new StoreSet(full, files, homes);
}
