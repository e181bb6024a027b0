// Prompts for a model of the micro world: it knows some fifty words, and what else a prompt says it cannot draw.
import { existsSync, statSync } from "node:fs";
import path from "node:path";
import { isObject, readJson } from "../checkpoint/strict_json.js";
import { packageRoot } from "../native/load.js";
import { hintFor } from "../train/schema.js";
import { unknownWords, vocabulary } from "./captions.js";

/** Captions of the world's training scenes: the prompts of a run that names none. */
export const microPromptsFile: string = path.join(packageRoot, "assets", "prompts", "micro.txt");

// Others' vocabularies are larger by far.
const mostBytes = 65_536;
const letters = vocabulary.filter((word) => /^[a-z]+$/i.test(word));

/**
 * Whether a model's folder is of the micro world: a small tokenizer that has each of the world's words in one
 * piece. True of what `pretrain micro` gives and of every checkpoint trained from it.
 */
export function isOfMicroWorld(folder: string): boolean {
  const file = path.join(folder, "tokenizer", "vocab.json");
  if (!existsSync(file) || statSync(file).size > mostBytes) return false;
  const pieces = readJson(file);
  return isObject(pieces) && letters.every((word) => `${word.toLowerCase()}</w>` in pieces);
}

/** A prompt, and where it stands: "line 3". */
export interface PlacedPrompt {
  place: string;
  text: string;
}

const mostWords = 30;
const mostPlaces = 5;

function listed(all: readonly string[], most: number): string {
  const more = all.length > most ? ` and ${all.length - most} more` : "";
  return `${all.slice(0, most).join(", ")}${more}`;
}

/** Every unknown word, where it stands and the known word nearest to it, a line each; empty if all are known. */
export function unknownWordLines(prompts: readonly PlacedPrompt[]): string[] {
  const places = new Map<string, string[]>();
  for (const { place, text } of prompts)
    for (const word of unknownWords(text)) places.set(word, [...(places.get(word) ?? []), place]);
  const known = vocabulary.map((word) => word.toLowerCase());
  const lines = [...places].map(
    ([word, where]) =>
      `  ${word} (${listed(where, mostPlaces)})${hintFor(word.toLowerCase(), known)}`,
  );
  const rest = lines.length - mostWords;
  return rest > 0 ? [...lines.slice(0, mostWords), `  and ${rest} words more`] : lines;
}
