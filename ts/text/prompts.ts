import path from "node:path";
import { packageRoot } from "../native/load.js";
import { SrpoError } from "../native/error.js";
import { readSmallFile } from "./read_data.js";

/** A prompts file may have at most this many bytes. */
export const maxPromptBytes = 256 * 1024 * 1024;

/** The prompts that come with the package, written for it. */
export const shippedPromptsFile: string = path.join(
  packageRoot,
  "assets",
  "prompts",
  "prompts.txt",
);

/** A prompt and the line that it stands in, counted from 1. */
export interface PromptLine {
  line: number;
  text: string;
}

/**
 * Reads prompts, one a line: blank lines and lines that begin with "#" are ignored, blanks around a prompt
 * are dropped, and so is a byte order mark.
 *
 * @throws SrpoError ERR_CONFIG naming the file: not readable, invalid UTF-8 (with the line), no prompt in it
 */
export async function readPrompts(file: string): Promise<string[]> {
  return (await readPromptLines(file)).map(({ text }) => text);
}

/** The same, each with its line. */
export async function readPromptLines(file: string): Promise<PromptLine[]> {
  const bytes = await readSmallFile(file, { code: "ERR_CONFIG", maxBytes: maxPromptBytes });
  const prompts: PromptLine[] = [];
  for (const [i, raw] of decodeLines(file, bytes).entries()) {
    const text = (i === 0 ? raw.replace(/^\ufeff/u, "") : raw).trim();
    if (text !== "" && !text.startsWith("#")) prompts.push({ line: i + 1, text });
  }
  if (prompts.length === 0)
    throw new SrpoError(
      "ERR_CONFIG",
      `${file}: expected at least one prompt, one a line, got none`,
    );
  return prompts;
}

function decodeLines(file: string, bytes: Uint8Array): string[] {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const newline = 0x0a;
  try {
    return decoder.decode(bytes).split("\n");
  } catch (error) {
    // A newline byte is never part of a longer sequence: the first bad line can be found alone.
    for (let start = 0, line = 1; start <= bytes.length; line++) {
      const at = bytes.indexOf(newline, start);
      const stop = at < 0 ? bytes.length : at;
      try {
        decoder.decode(bytes.subarray(start, stop));
      } catch (cause) {
        throw new SrpoError(
          "ERR_CONFIG",
          `${file}: line ${String(line)}: expected UTF-8 text, got invalid bytes`,
          { cause },
        );
      }
      start = stop + 1;
    }
    throw error;
  }
}
