// The steps before segmentation, as a tokenizer.json lists them: normalizers (text to text) and
// pre-tokenizers (a text to pieces). Only what T5's files hold is known here; the rest is refused by name.

import { CharsMap } from "./charsmap.js";
import { badData, isRecord, shown } from "./read_data.js";
import { whiteSpace } from "./white_space.js";

export type Normalizer = (text: string) => string;

/** `atStart`: the segment is the beginning of the whole text, no special token came before. */
export type PreTokenizer = (segment: string, atStart: boolean) => string[];

/** The listed steps, flattened: nothing, one, or a Sequence (of sequences, at most eight deep). */
function stepsOf(file: string, key: string, data: unknown, list: string, depth = 0): unknown[] {
  if (data === null || data === undefined) return [];
  if (isRecord(data) && data.type === "Sequence" && depth < 8) {
    const inner = data[list];
    if (!Array.isArray(inner))
      throw badData(file, `${key}: expected a list under "${list}", got ${shown(inner)}`);
    return (inner as unknown[]).flatMap((step) => stepsOf(file, key, step, list, depth + 1));
  }
  return [data];
}

function charsMapOf(file: string, data: Record<string, unknown>): Normalizer {
  const text = data.precompiled_charsmap;
  if (text === null || text === undefined || text === "") return (same) => same;
  if (typeof text !== "string" || !/^[A-Za-z0-9+/]*={0,2}$/u.test(text))
    throw badData(file, "normalizer: expected precompiled_charsmap in base64");
  try {
    const map = new CharsMap(Buffer.from(text, "base64"));
    return (input) => map.apply(input);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw badData(file, `normalizer: precompiled_charsmap: ${reason}`, { cause: error });
  }
}

const isSpace = new RegExp(`[${whiteSpace}]`, "u");

function stripOf(data: Record<string, unknown>): Normalizer {
  return (text) => {
    let [start, end] = [0, text.length];
    if (data.strip_left === true) while (start < end && isSpace.test(text[start]!)) start++;
    if (data.strip_right === true) while (end > start && isSpace.test(text[end - 1]!)) end--;
    return text.slice(start, end);
  };
}

function replaceOf(file: string, data: Record<string, unknown>): Normalizer {
  const { pattern, content } = data;
  if (isRecord(pattern) && typeof content === "string") {
    // The one regular expression that T5 files hold; another one could take for ever on some text.
    if (pattern.Regex === " {2,}") return (text) => text.replace(/ {2,}/gu, () => content);
    const { String: literal } = pattern;
    if (typeof literal === "string" && literal !== "")
      return (text) => text.replaceAll(literal, () => content);
  }
  throw badData(
    file,
    `normalizer: expected Replace of a String or of the Regex " {2,}", got ${shown(data)}`,
  );
}

function normalizerOf(file: string, data: unknown): Normalizer {
  const type = isRecord(data) ? data.type : undefined;
  if (isRecord(data) && type === "Precompiled") return charsMapOf(file, data);
  if (isRecord(data) && type === "Strip") return stripOf(data);
  if (isRecord(data) && type === "Replace") return replaceOf(file, data);
  if (type === "NFC" || type === "NFKC") return (text) => text.normalize(type);
  throw badData(
    file,
    `normalizer: expected Precompiled, Strip, Replace, NFC or NFKC, got ${shown(data)}`,
  );
}

/** The normalizers of a file as one function. */
export function readNormalizer(file: string, data: unknown): Normalizer {
  const steps = stepsOf(file, "normalizer", data, "normalizers").map((step) =>
    normalizerOf(file, step),
  );
  return (text) => steps.reduce((current, step) => step(current), text);
}

function metaspaceOf(file: string, data: Record<string, unknown>): PreTokenizer {
  const { replacement, add_prefix_space: addPrefix, prepend_scheme: scheme, split } = data;
  if (typeof replacement !== "string" || Array.from(replacement).length !== 1)
    throw badData(file, `pre_tokenizer: expected one replacement character, got ${shown(data)}`);
  const prepend = scheme ?? (addPrefix === false ? "never" : "always");
  if (prepend !== "always" && prepend !== "first" && prepend !== "never")
    throw badData(file, `pre_tokenizer: expected a known prepend_scheme, got ${shown(scheme)}`);
  return (segment, atStart) => {
    if (segment === "") return [];
    let marked = segment.replaceAll(" ", replacement);
    const wanted = prepend === "always" || (prepend === "first" && atStart);
    if (wanted && !marked.startsWith(replacement)) marked = replacement + marked;
    if (split === false) return [marked];
    return marked
      .split(replacement)
      .map((word, i) => (i === 0 ? word : replacement + word))
      .filter((word) => word !== "");
  };
}

const spaceRun = new RegExp(`[${whiteSpace}]+`, "u");

function preTokenizerOf(file: string, data: unknown): PreTokenizer {
  if (isRecord(data) && data.type === "Metaspace") return metaspaceOf(file, data);
  if (isRecord(data) && data.type === "WhitespaceSplit")
    return (segment) => segment.split(spaceRun).filter((word) => word !== "");
  throw badData(file, `pre_tokenizer: expected Metaspace or WhitespaceSplit, got ${shown(data)}`);
}

/** The pre-tokenizers of a file as one function. */
export function readPreTokenizer(file: string, data: unknown): PreTokenizer {
  const steps = stepsOf(file, "pre_tokenizer", data, "pretokenizers").map((step) =>
    preTokenizerOf(file, step),
  );
  return (segment, atStart) =>
    steps.reduce(
      (words, step) => words.flatMap((word, i) => step(word, atStart && i === 0)),
      segment === "" ? [] : [segment],
    );
}
