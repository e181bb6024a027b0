// FILE.part and FILE.part.json: what has come of a file, and of which content it is.
import { createHash } from "node:crypto";
import { createReadStream, existsSync, statSync } from "node:fs";
import * as fs from "node:fs/promises";
import path from "node:path";
import { makeFolder, replaceFile, syncFolder } from "../checkpoint/durable.js";
import { isObject, readJson } from "../checkpoint/strict_json.js";
import type { RemoteFile } from "./hub.js";

/** What a part is a part of; null for what is not known. It is gone on with only where nothing differs. */
export interface PartState {
  url: string;
  size: number | null;
  /** A checksum of the listing's. */
  checksum: string | null;
  /** The server's word for this content. */
  etag: string | null;
}

export class Part {
  readonly file: string;
  readonly #state: string;

  constructor(readonly place: string) {
    this.file = `${place}.part`;
    this.#state = `${place}.part.json`;
  }

  get bytes(): number {
    return existsSync(this.file) ? statSync(this.file).size : 0;
  }

  /** Keeps what is there if it may be of the same content, and removes it if not. Returns what it is of. */
  async begin(state: PartState): Promise<PartState> {
    await makeFolder(path.dirname(this.place));
    const known = existsSync(this.#state) && existsSync(this.file) ? this.#read() : undefined;
    const same = (name: keyof PartState) =>
      isObject(known) && (state[name] === null || known[name] === state[name]);
    if (same("url") && same("size") && same("checksum")) return known as unknown as PartState;
    await this.remove();
    await this.note(state);
    return state;
  }

  #read() {
    try {
      return readJson(this.#state);
    } catch {
      return undefined; // torn: the part is not trusted
    }
  }

  async note(state: PartState): Promise<void> {
    const text = Buffer.from(`${JSON.stringify(state)}\n`);
    await replaceFile(this.#state, (sink) => sink.write(text));
  }

  async remove(): Promise<void> {
    await fs.rm(this.file, { force: true });
    await fs.rm(this.#state, { force: true });
  }

  /** The part under its own name: on disk before it is renamed. */
  async finish(): Promise<void> {
    const handle = await fs.open(this.file, "r+");
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
    await fs.rename(this.file, this.place);
    await syncFolder(path.dirname(this.place));
    await fs.rm(this.#state, { force: true });
  }
}

/** Whether a file's bytes are what the listing says; undefined where it says nothing. */
export async function checksumProblem(
  file: string,
  { sha256, gitSha1 }: Pick<RemoteFile, "sha256" | "gitSha1">,
): Promise<string | undefined> {
  const wanted = sha256 ?? gitSha1;
  if (wanted === undefined) return undefined;
  const hash = createHash(sha256 === undefined ? "sha1" : "sha256");
  if (sha256 === undefined) hash.update(`blob ${statSync(file).size}\0`);
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 }))
    hash.update(chunk as Buffer);
  const found = hash.digest("hex");
  const of = sha256 === undefined ? "git SHA-1" : "SHA-256";
  return found === wanted ? undefined : `expected ${of} ${wanted}, got ${found}`;
}
