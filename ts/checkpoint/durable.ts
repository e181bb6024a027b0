import { constants, statSync } from "node:fs";
import * as fs from "node:fs/promises";
import path from "node:path";
import { codeOf, SrpoError } from "../native/error.js";
import { Hasher } from "./hasher.js";
import { besideName, recoverFolderOnce } from "./leftovers.js";

/** What takes bytes in order. */
export interface ByteSink {
  write(bytes: Uint8Array): Promise<void>;
}

/** A written file as a manifest lists it. */
export interface WrittenFile {
  readonly bytes: number;
  readonly sha256: string;
}

const reasons: Readonly<Record<string, string>> = {
  ENOSPC: "room on the disk, got a full one (ENOSPC)",
  EDQUOT: "room on the disk, got a full quota (EDQUOT)",
  EFBIG: "room for the file, got the system's limit on a file's size (EFBIG)",
  EACCES: "permission to write, got none (EACCES)",
  EPERM: "permission to write, got none (EPERM)",
  EROFS: "a file system to write to, got a read-only one (EROFS)",
  ENOTDIR: "a folder, got a file in its place (ENOTDIR)",
  EISDIR: "a file, got a folder in its place (EISDIR)",
  ENOENT: "a folder that exists, got none (ENOENT)",
  EEXIST: "nothing in this place, got a file (EEXIST)",
};

/** Node's error at a path as ours, in one clear line; an SrpoError stays as it is. */
export function writeError(file: string, error: unknown): SrpoError {
  if (error instanceof SrpoError) return error;
  const code = codeOf(error) ?? "";
  const reason =
    reasons[code] ?? `to write, got ${error instanceof Error ? error.message : String(error)}`;
  return new SrpoError("ERR_CHECKPOINT", `${file}: write: expected ${reason}`, { cause: error });
}

/** Flushes a folder's entries: what was created, renamed or removed in it survives a power cut. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await fs.open(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Makes a folder and those above it, and flushes the entries of what was made. */
export async function makeFolder(folder: string): Promise<void> {
  try {
    if ((await fs.stat(folder).catch(() => undefined))?.isDirectory() === true) return;
    // Level by level: mkdir's own `recursive` never ends where a parent takes no folders, as /proc.
    const above = path.dirname(folder);
    if (above !== folder) await makeFolder(above);
    await fs.mkdir(folder).catch((error: unknown) => {
      if (codeOf(error) !== "EEXIST" || !statSync(folder).isDirectory()) throw error;
    });
    await syncFolder(above);
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw writeError(folder, error);
    throw new SrpoError(
      "ERR_CHECKPOINT",
      `${folder}: write: expected a folder, got a file in its place`,
    );
  }
}

/**
 * Writes a new file and flushes it to disk; on any failure no file stays.
 *
 * @throws SrpoError ERR_CHECKPOINT, a full disk named as such
 */
export async function writeNewFile(
  file: string,
  fill: (sink: ByteSink) => Promise<void>,
): Promise<WrittenFile> {
  const hasher = new Hasher();
  let bytes = 0;
  let created = false;
  try {
    const handle = await fs.open(file, "wx");
    created = true;
    try {
      await fill({
        async write(chunk) {
          const hashed = hasher.update(chunk);
          hashed.catch(() => undefined); // if the write fails first, nobody asks for this one
          for (let done = 0; done < chunk.byteLength;) {
            const { bytesWritten } = await handle.write(chunk, done, chunk.byteLength - done);
            done += bytesWritten;
          }
          await hashed;
          bytes += chunk.byteLength;
        },
      });
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (created) await fs.rm(file, { force: true });
    throw writeError(file, error);
  }
  return { bytes, sha256: await hasher.digest() };
}

/** A name beside a place for what will be renamed to it. */
export function temporaryBeside(place: string): string {
  return besideName(place, "tmp");
}

/** A name beside a place for what makes way for its successor. */
export function oldBeside(place: string): string {
  return besideName(place, "old");
}

/** Writes a file so that at every instant the path holds the old content or the new, whole. */
export async function replaceFile(
  file: string,
  fill: (sink: ByteSink) => Promise<void>,
): Promise<WrittenFile> {
  const temporary = temporaryBeside(file);
  try {
    await recoverFolderOnce(path.dirname(file));
    const written = await writeNewFile(temporary, fill);
    await fs.rename(temporary, file);
    await syncFolder(path.dirname(file));
    return written;
  } catch (error) {
    // A temporary that is there is removed; where there is no folder there is none.
    await fs.rm(temporary, { force: true }).catch(() => {});
    const clear = writeError(file, error);
    throw clear.message.includes(temporary)
      ? new SrpoError(clear.code, clear.message.replaceAll(temporary, file), { cause: error })
      : clear;
  }
}
