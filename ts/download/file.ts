// One file: asked for again from where it broke off, checked, and only then under its own name.
import * as fs from "node:fs/promises";
import { existsSync, statSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { writeError } from "../checkpoint/durable.js";
import { SrpoError } from "../native/error.js";
import type { Access } from "./access.js";
import type { RemoteFile } from "./hub.js";
import { checksumProblem, Part, type PartState } from "./part.js";
import { ask, Passing, type Answer } from "./request.js";

export interface Patience {
  /** Attempts in a row that bring no byte; 8. */
  attempts: number;
  /** Before the second attempt, doubled each time; 1000. */
  backoffMs: number;
  /** Without a byte for so long a connection is given up; 60000. */
  stallMs: number;
}

export const defaultPatience: Patience = { attempts: 8, backoffMs: 1000, stallMs: 60_000 };

export interface FileRequest {
  url: string;
  repository: string;
  remote: RemoteFile;
  /** Where it goes. */
  place: string;
  patience: Patience;
  signal: AbortSignal;
  /** Told how many bytes are there; fewer than before where it began anew. */
  onBytes?: (bytes: number) => void;
}

const longestBackoffMs = 60_000;
const isSha256 = (text: string | undefined) => text !== undefined && /^[0-9a-f]{64}$/.test(text);

/** Whether the place holds the file already, by size and checksum. */
export async function isThere(place: string, remote: RemoteFile): Promise<boolean> {
  if (!existsSync(place)) return false;
  if (remote.size !== undefined && statSync(place).size !== remote.size) return false;
  return (await checksumProblem(place, remote)) === undefined;
}

/** Writes an answer's body behind what is there. Returns the bytes that are there then. */
async function append(
  part: Part,
  answer: Answer,
  size: number | undefined,
  onBytes: FileRequest["onBytes"],
): Promise<number> {
  let at = answer.from;
  const handle = await fs.open(part.file, at === 0 ? "w" : "r+").catch((error: unknown) => {
    throw writeError(part.file, error);
  });
  try {
    await handle.truncate(at);
    for await (const chunk of answer.body) {
      if (size !== undefined && at + chunk.byteLength > size)
        throw new Passing(`more than the ${size} bytes that the file has`, { anew: true });
      await handle.write(chunk, 0, chunk.byteLength, at).catch((error: unknown) => {
        throw writeError(part.file, error);
      });
      at += chunk.byteLength;
      onBytes?.(at);
    }
  } finally {
    answer.close();
    await handle.close();
  }
  return at;
}

/**
 * Fetches a file; stopped or killed at any instant, the next call goes on from what has come. The place holds the
 * whole file, checked, or what it held before.
 *
 * @returns the commit that the server says it is of
 * @throws SrpoError ERR_DOWNLOAD where asking again does not help, ERR_CHECKPOINT for a full disk
 */
export async function downloadFile(
  access: Access,
  request: FileRequest,
): Promise<{ commit: string | undefined }> {
  const { url, repository, place, patience, signal, onBytes } = request;
  let remote = request.remote;
  const part = new Part(place);
  const stateOf = (etag: string | null): PartState => ({
    url,
    size: remote.size ?? null,
    checksum: request.remote.sha256 ?? request.remote.gitSha1 ?? null,
    etag,
  });
  let { etag } = await part.begin(stateOf(null));
  let commit: string | undefined;
  let failures = 0;
  let wrongContent = 0;

  const failed = async ({ message, anew, afterMs }: Passing): Promise<void> => {
    if (anew) await part.remove();
    failures += 1;
    if (failures >= patience.attempts)
      throw new SrpoError(
        "ERR_DOWNLOAD",
        `${url}: expected the file in ${patience.attempts} attempts, got ${message}; ` +
          `${part.bytes} bytes are kept in ${part.file}, the same command goes on from there`,
      );
    const wait = Math.min(patience.backoffMs * 2 ** (failures - 1), longestBackoffMs);
    await sleep(afterMs ?? wait * (0.75 + Math.random() / 2), undefined, { signal });
  };

  /** Asks for what is not there, and writes it. */
  const goOn = async (from: number): Promise<void> => {
    const { stallMs } = patience;
    const answer = await ask(access, { url, repository, from, stallMs, signal });
    const odd = oddAnswer(answer, { from, remote, etag });
    if (odd !== undefined) {
      answer.close();
      throw odd;
    }
    commit ??= answer.commit;
    etag = answer.etag ?? null;
    // A file that no listing has told of: what the server says of it.
    if (remote.sha256 === undefined && isSha256(answer.etag))
      remote = { ...remote, sha256: answer.etag };
    remote = { ...remote, size: remote.size ?? answer.size };
    await part.note(stateOf(etag));
    await append(part, answer, remote.size, onBytes);
  };

  while (true) {
    signal.throwIfAborted();
    const from = part.bytes;
    onBytes?.(from);
    try {
      if (remote.size === undefined || from < remote.size || from === 0) await goOn(from);
      const got = part.bytes;
      if (remote.size !== undefined && got < remote.size)
        throw new Passing(`${got} of ${remote.size} bytes`);
      const problem = await checksumProblem(part.file, remote);
      if (problem === undefined) break;
      wrongContent += 1;
      if (wrongContent < 2) throw new Passing(problem, { anew: true });
      await part.remove();
      throw new SrpoError(
        "ERR_DOWNLOAD",
        `${url}: ${problem}, twice; the file was removed: try again later, or another HF_ENDPOINT`,
      );
    } catch (error) {
      if (!(error instanceof Passing)) throw error;
      if (part.bytes > from) failures = 0;
      await failed(error);
    }
  }
  await part.finish();
  return { commit };
}

/** What is wrong with an answer to a request for the bytes from `from` on. */
function oddAnswer(
  answer: Answer,
  { from, remote, etag }: { from: number; remote: RemoteFile; etag: string | null },
): Passing | undefined {
  const anew = true;
  if (answer.status === 416) return new Passing("no bytes beyond those that are here", { anew });
  if (from > 0 && etag !== null && answer.etag !== undefined && answer.etag !== etag)
    return new Passing("another file than the one that was begun", { anew });
  if (answer.status === 206 && answer.from !== from)
    return new Passing(`bytes from ${answer.from}, not from ${from}`);
  if (remote.size !== undefined && answer.size !== undefined && answer.size !== remote.size)
    return new Passing(`a size of ${answer.size} bytes, not of ${remote.size}`);
  return undefined;
}
