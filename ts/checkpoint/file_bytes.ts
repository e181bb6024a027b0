import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { SrpoError } from "../native/error.js";

/** An ERR_CHECKPOINT in the one form: `<file>: <part>: expected ..., got ...`. */
export function badFile(file: string, part: string, expected: string, got: string): SrpoError {
  return new SrpoError("ERR_CHECKPOINT", `${file}: ${part}: expected ${expected}, got ${got}`);
}

/** A name or a text from a file as a message may show it: one short line. */
export function shownText(text: string, most = 120): string {
  const line = text.replaceAll(/[\p{Cc}\p{Surrogate}\u2028\u2029]/gu, "?");
  return line.length > most ? `${line.slice(0, most)}...` : line;
}

/** "No such file or directory" of Node's "ENOENT: no such file or directory, open ...". */
function systemText(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const said = /^[A-Z]+: (.+?)(?:, |$)/.exec(text)?.[1] ?? text;
  return said.charAt(0).toUpperCase() + said.slice(1);
}

/** A regular file whose bytes are fetched by position, small pieces of it. */
export class FileBytes implements Disposable {
  readonly path: string;
  readonly size: number;
  readonly #descriptor: number;

  /** @throws SrpoError ERR_CHECKPOINT for what is no readable regular file */
  constructor(path: string) {
    this.path = path;
    try {
      // Not blocking: the open of a pipe would wait for a writer that may never come.
      this.#descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    } catch (error) {
      throw badFile(path, "file", "a readable file", systemText(error));
    }
    const stat = fstatSync(this.#descriptor);
    this.size = stat.size;
    if (stat.isFile()) return;
    closeSync(this.#descriptor);
    throw badFile(
      path,
      "file",
      "a regular file",
      stat.isDirectory() ? "a folder" : "something else",
    );
  }

  /** `bytes` from `offset` on; fewer only at the end of the file. */
  upTo(bytes: number, offset: number): Buffer {
    const buffer = Buffer.alloc(Math.max(0, Math.min(bytes, this.size - offset)));
    let done = 0;
    while (done < buffer.length) {
      const got = readSync(this.#descriptor, buffer, done, buffer.length - done, offset + done);
      if (got === 0) break;
      done += got;
    }
    return buffer.subarray(0, done);
  }

  /** All `bytes` from `offset` on. @throws SrpoError ERR_CHECKPOINT that names `part` if they are not there */
  exactly(bytes: number, offset: number, part: string): Buffer {
    const got = this.upTo(bytes, offset);
    if (got.length !== bytes)
      throw badFile(
        this.path,
        part,
        `${bytes} bytes from byte ${offset}`,
        `the end of the file at byte ${this.size}; download it again`,
      );
    return got;
  }

  [Symbol.dispose](): void {
    closeSync(this.#descriptor);
  }
}
