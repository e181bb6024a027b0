import { readFile, stat } from "node:fs/promises";
import { codeOf, SrpoError } from "../native/error.js";

/** The largest vocabulary file that is read; the largest public one we know has 2.4 MB. */
export const maxDataBytes = 32 * 1024 * 1024;

/** An ERR_CHECKPOINT that names the file, in one line whatever the file holds. */
export function badData(file: string, message: string, options?: ErrorOptions): SrpoError {
  const line = message.replaceAll(/[\p{Cc}\u2028\u2029]+/gu, " ");
  return new SrpoError("ERR_CHECKPOINT", `${file}: ${line}`, options);
}

/**
 * The bytes of a regular file of at most `maxBytes`; anything else is refused by name before it is
 * opened, so that a pipe or a device cannot make a load wait for ever.
 *
 * @throws SrpoError with `code`, naming the file
 */
export async function readSmallFile(
  file: string,
  { code = "ERR_CHECKPOINT", maxBytes = maxDataBytes }: { code?: string; maxBytes?: number } = {},
): Promise<Uint8Array> {
  try {
    const info = await stat(file);
    if (!info.isFile()) throw new SrpoError(code, `${file}: expected a regular file`);
    if (info.size > maxBytes)
      throw new SrpoError(
        code,
        `${file}: expected at most ${String(maxBytes)} bytes, got ${String(info.size)}`,
      );
    return await readFile(file);
  } catch (error) {
    if (error instanceof SrpoError) throw error;
    const reason = codeOf(error) ?? (error instanceof Error ? error.message : String(error));
    throw new SrpoError(code, `${file}: cannot be read (${reason})`, { cause: error });
  }
}

/** A small UTF-8 text file; a byte order mark is dropped, invalid UTF-8 refused. */
export async function readTextData(file: string): Promise<string> {
  const bytes = await readSmallFile(file);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    throw badData(file, "expected UTF-8 text, got invalid bytes", { cause: error });
  }
}

/** A small JSON file, parsed; what it holds is checked by the caller. */
export async function readJsonData(file: string): Promise<unknown> {
  return parseJson(file, await readTextData(file));
}

export function parseJson(file: string, text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    const reason = error instanceof Error ? error.message.slice(0, 200) : String(error);
    throw badData(file, `expected JSON (${reason})`, { cause: error });
  }
}

/** True for a JSON object, not null and no array. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** How an unexpected JSON value is shown in a message: short, whatever it is. */
export function shown(value: unknown): string {
  const text = value === undefined ? "nothing" : (JSON.stringify(value) ?? typeof value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
