import { readFileSync, statSync } from "node:fs";
import { SrpoError } from "../native/error.js";

export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json;
}

const limitBytes = 32 << 20;

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The first key that an object of this (valid) JSON text has twice. */
function keyTwice(text: string): string | undefined {
  // One set an open object; null for an array.
  const open: (Set<string> | null)[] = [];
  let keyNext = false;
  for (let i = 0; i < text.length; ++i) {
    const c = text[i]!;
    if (c === "{") {
      open.push(new Set());
      keyNext = true;
    } else if (c === "[") {
      open.push(null);
      keyNext = false;
    } else if (c === "}" || c === "]") {
      open.pop();
      keyNext = false;
    } else if (c === ",") {
      keyNext = open.at(-1) !== null;
    } else if (c === '"') {
      const start = i;
      for (++i; text[i] !== '"'; ++i) if (text[i] === "\\") ++i;
      if (!keyNext) continue;
      const key = JSON.parse(text.slice(start, i + 1)) as string;
      const keys = open.at(-1)!;
      if (keys.has(key)) return key;
      keys.add(key);
      keyNext = false;
    }
  }
  return undefined;
}

/**
 * Reads a small JSON file that others may have written: at most 32 MB, strict UTF-8, no key twice.
 *
 * @throws SrpoError ERR_CHECKPOINT that names the file
 */
export function readJson(file: string): Json {
  const refuse = (expected: string, got: string, cause?: unknown): never => {
    throw new SrpoError("ERR_CHECKPOINT", `${file}: file: expected ${expected}, got ${got}`, {
      cause,
    });
  };
  const reason = (error: unknown) => (error instanceof Error ? error.message : String(error));
  let bytes: Buffer;
  try {
    const stat = statSync(file);
    if (!stat.isFile()) return refuse("a regular file", stat.isDirectory() ? "a folder" : "other");
    if (stat.size > limitBytes) return refuse(`at most ${limitBytes} bytes`, String(stat.size));
    bytes = readFileSync(file);
  } catch (error) {
    if (error instanceof SrpoError) throw error;
    return refuse("a readable file", reason(error).split(",")[0]!, error);
  }
  let text: string;
  let value: Json;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    value = JSON.parse(text) as Json;
  } catch (error) {
    return refuse(
      "JSON",
      reason(error)
        .replaceAll(/[\s\p{Cc}]+/gu, " ")
        .slice(0, 200),
      error,
    );
  }
  const twice = keyTwice(text);
  if (twice !== undefined) return refuse("each key once", `${twice.slice(0, 120)} twice`);
  return value;
}
