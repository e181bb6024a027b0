import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import * as fs from "node:fs/promises";
import path from "node:path";
import { SrpoError } from "../native/error.js";
import {
  makeFolder,
  oldBeside,
  syncFolder,
  temporaryBeside,
  writeError,
  type WrittenFile,
} from "./durable.js";
import { FolderWriter } from "./folder_writer.js";
import { recoverFolder } from "./leftovers.js";
import { refuseAll } from "./store_set.js";
import { isObject, readJson } from "./strict_json.js";

const manifestName = "manifest.json";

/** The files of a complete checkpoint folder, by name with `/`. */
export type Manifest = ReadonlyMap<string, WrittenFile>;

export interface SaveOptions {
  /** Whether a folder that is there and has a manifest may be replaced. Default false. */
  replace?: boolean;
}

/**
 * A folder that is being written beside its place, by this process or by several: `commit` puts it there
 * whole, `abort` leaves nothing of it.
 */
export class PendingFolder {
  private constructor(
    readonly place: string,
    /** Where the files go. */
    readonly temporary: string,
    readonly replaced: boolean,
  ) {}

  /** Makes it; what dead runs left beside its place is removed first. @throws SrpoError ERR_CHECKPOINT */
  static async begin(
    folder: string,
    { replace = false }: SaveOptions = {},
  ): Promise<PendingFolder> {
    const place = path.resolve(folder);
    await makeFolder(path.dirname(place));
    await recoverFolder(path.dirname(place));
    const replaced = await whatIsThere(place, replace);
    const pending = new PendingFolder(place, temporaryBeside(place), replaced);
    await fs.mkdir(pending.temporary).catch((error: unknown) => {
      throw pending.errorOf(error);
    });
    return pending;
  }

  /** Lists the files, which are flushed, in `manifest.json`, and renames the folder. */
  async commit(files: Manifest): Promise<void> {
    const { place, temporary } = this;
    try {
      const writer = new FolderWriter(temporary);
      await writer.json(manifestName, { format: 1, files: Object.fromEntries(files) });
      await writer.sync();
      const old = oldBeside(place);
      if (this.replaced) await fs.rename(place, old);
      await fs.rename(temporary, place);
      await syncFolder(path.dirname(place));
      if (this.replaced) await fs.rm(old, { recursive: true, force: true });
    } catch (error) {
      await this.abort();
      throw this.errorOf(error);
    }
  }

  async abort(): Promise<void> {
    await fs.rm(this.temporary, { recursive: true, force: true }).catch(() => {});
    await recoverFolder(path.dirname(this.place), { own: true });
  }

  /** What went wrong, with the place that the caller knows. */
  errorOf(error: unknown): SrpoError {
    const clear = writeError(this.place, error);
    const message = clear.message.replaceAll(this.temporary, this.place);
    return new SrpoError(clear.code, message, { cause: error });
  }
}

/**
 * Writes a whole folder or nothing. Files go to `<folder>.tmp-...` beside it, are flushed, listed with
 * size and SHA-256 in `manifest.json`, and the folder is renamed: killed at any instant, the place
 * holds what it held before or the new folder, complete. What dead runs left beside it is removed first.
 *
 * @throws SrpoError ERR_CHECKPOINT: a full disk, a file in the folder's place, ...; nothing half-written
 *   stays
 */
export async function saveFolder(
  folder: string,
  write: (folder: FolderWriter) => Promise<void>,
  options: SaveOptions = {},
): Promise<void> {
  const pending = await PendingFolder.begin(folder, options);
  const writer = new FolderWriter(pending.temporary);
  try {
    await write(writer);
    await writer.sync();
  } catch (error) {
    await pending.abort();
    throw pending.errorOf(error);
  }
  await pending.commit(writer.files);
}

/** Whether a folder of ours is in the place; throws where something is that must stay. */
async function whatIsThere(place: string, replace: boolean): Promise<boolean> {
  const refuse = (expected: string, got: string) => {
    throw new SrpoError("ERR_CHECKPOINT", `${place}: save: expected ${expected}, got ${got}`);
  };
  const stat = await fs.stat(place).catch(() => undefined);
  if (stat === undefined) return false;
  if (!stat.isDirectory()) refuse("a folder or nothing", "a file in its place");
  const names = await fs.readdir(place);
  if (names.length === 0) return false;
  if (!replace) refuse("nothing or an empty folder", "a folder with files");
  if (!names.includes(manifestName))
    refuse(`an earlier checkpoint, with ${manifestName}`, "a folder of other files");
  return true;
}

/** Removes a checkpoint folder so that a run killed meanwhile leaves no half of one under its name. */
export async function removeFolder(folder: string): Promise<void> {
  const temporary = temporaryBeside(path.resolve(folder));
  await fs.rename(folder, temporary);
  await fs.rm(temporary, { recursive: true, force: true });
}

/** @throws SrpoError ERR_CHECKPOINT if the folder has no manifest, or one that is not ours */
export function readManifest(folder: string): Manifest {
  const file = path.join(folder, manifestName);
  const json = readJson(file);
  const listed = isObject(json) ? json["files"] : undefined;
  if (!isObject(listed))
    throw new SrpoError("ERR_CHECKPOINT", `${file}: files: expected an object`);
  const manifest = new Map<string, WrittenFile>();
  for (const [name, entry] of Object.entries(listed)) {
    const bytes = isObject(entry) ? entry["bytes"] : undefined;
    const sha256 = isObject(entry) ? entry["sha256"] : undefined;
    const outside = name.startsWith("/") || name.split("/").includes("..") || name.includes("\0");
    if (outside || typeof bytes !== "number" || typeof sha256 !== "string")
      throw new SrpoError(
        "ERR_CHECKPOINT",
        `${file}: ${JSON.stringify(name.slice(0, 120))}: expected a file in the folder with bytes and sha256`,
      );
    manifest.set(name, { bytes, sha256 });
  }
  return manifest;
}

async function sizeProblems(folder: string, manifest: Manifest): Promise<string[]> {
  const problems: string[] = [];
  for (const [name, { bytes }] of manifest) {
    const stat = await fs.stat(path.join(folder, name)).catch(() => undefined);
    if (stat === undefined) problems.push(`${name}: expected ${bytes} bytes, got no file`);
    else if (stat.size !== bytes)
      problems.push(`${name}: expected ${bytes} bytes, got ${stat.size}`);
  }
  return problems;
}

/** Whether a folder has its manifest and every file of it in full length. */
export async function isComplete(folder: string): Promise<boolean> {
  try {
    return (await sizeProblems(folder, readManifest(folder))).length === 0;
  } catch {
    return false;
  }
}

/**
 * Reads every file of a checkpoint folder and compares size and hash with the manifest.
 *
 * @param options.rank - of `ranks` that check a folder together, each some of the files; default alone
 * @throws SrpoError ERR_CHECKPOINT that names every missing and every other file
 */
export async function verifyManifest(
  folder: string,
  { rank = 0, ranks = 1 }: { rank?: number; ranks?: number } = {},
): Promise<Manifest> {
  const manifest = readManifest(folder);
  const problems = await sizeProblems(folder, manifest);
  if (problems.length === 0)
    for (const [name, { sha256 }] of [...manifest].filter((_, i) => i % ranks === rank)) {
      const hash = createHash("sha256");
      for await (const chunk of createReadStream(path.join(folder, name), {
        highWaterMark: 1 << 20,
      }))
        hash.update(chunk as Buffer);
      if (hash.digest("hex") !== sha256)
        problems.push(`${name}: expected the SHA-256 of the manifest, got another`);
    }
  refuseAll(folder, problems);
  return manifest;
}

/** `step-000020` */
export function stepName(step: number): string {
  return `step-${String(step).padStart(6, "0")}`;
}

/** The complete checkpoints `step-NNNNNN` of a folder, the newest first; cleans up after dead runs. */
export async function completeCheckpoints(
  checkpoints: string,
): Promise<{ step: number; path: string }[]> {
  await recoverFolder(checkpoints);
  const names = await fs.readdir(checkpoints).catch(() => []);
  const found = names
    .filter((name) => /^step-\d{6,12}$/.test(name))
    .map((name) => ({ step: Number(name.slice(5)), path: path.join(checkpoints, name) }))
    .sort((a, b) => b.step - a.step);
  const complete = [];
  for (const checkpoint of found) if (await isComplete(checkpoint.path)) complete.push(checkpoint);
  return complete;
}

/** The newest complete checkpoint, or undefined if there is none. */
export async function latestComplete(
  checkpoints: string,
): Promise<{ step: number; path: string } | undefined> {
  const [newest] = await completeCheckpoints(checkpoints);
  return newest;
}
