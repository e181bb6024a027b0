// Learns a small byte-level BPE vocabulary: starting from bytes, the most frequent adjacent pair of
// symbols becomes a symbol, again and again. Deterministic: of equally frequent pairs the one whose
// spelling comes first by code units.

import { byteSymbols, byteSymbolsInVocabularyOrder, endOfWord } from "./byte_symbols.js";
import { clipPieces } from "./clip_pieces.js";
import { endToken, startToken } from "./clip_vocabulary.js";

/** The contents of the two files of a CLIP tokenizer folder, in their public format. */
export interface LearnedClip {
  readonly vocabJson: string;
  readonly mergesTxt: string;
  readonly size: number;
}

interface Word {
  symbols: string[];
  readonly count: number;
}

function wordsOf(texts: readonly string[]): Word[] {
  const counts = new Map<string, number>();
  for (const text of texts)
    for (const piece of clipPieces(text, "open_clip"))
      if (typeof piece === "string") counts.set(piece, (counts.get(piece) ?? 0) + 1);
  return [...counts].map(([piece, count]) => {
    const symbols = [...Buffer.from(piece, "utf8")].map((byte) => byteSymbols[byte]!);
    symbols[symbols.length - 1] += endOfWord;
    return { symbols, count };
  });
}

/** The most frequent pair that occurs at least twice and makes a new symbol; "left right". */
function bestPair(words: readonly Word[], known: ReadonlySet<string>): string | undefined {
  const counts = new Map<string, number>();
  for (const { symbols, count } of words)
    for (let i = 0; i + 1 < symbols.length; i++) {
      const pair = `${symbols[i]!} ${symbols[i + 1]!}`;
      counts.set(pair, (counts.get(pair) ?? 0) + count);
    }
  let [best, most] = [undefined as string | undefined, 1];
  for (const [pair, count] of counts) {
    if (count < most || count < 2 || known.has(pair.replace(" ", ""))) continue;
    if (count > most || best === undefined || pair < best) [best, most] = [pair, count];
  }
  return best;
}

function mergeEverywhere(words: readonly Word[], pair: string): void {
  const [left, right] = pair.split(" ") as [string, string];
  for (const word of words) {
    if (!word.symbols.includes(left)) continue;
    const merged: string[] = [];
    for (let i = 0; i < word.symbols.length; i++) {
      const isPair = word.symbols[i] === left && word.symbols[i + 1] === right;
      merged.push(isPair ? left + right : word.symbols[i]!);
      if (isPair) i++;
    }
    word.symbols = merged;
  }
}

/**
 * Learns a vocabulary of at most `size` entries from texts: the 256 bytes, the same with `</w>`, merges,
 * then start and end as the two largest ids. Every text can be encoded with it.
 *
 * @param options.size - entries, at least 514; fewer come out if no pair occurs twice any more
 */
export function learnClip(texts: readonly string[], { size }: { size: number }): LearnedClip {
  const symbols = [
    ...byteSymbolsInVocabularyOrder,
    ...byteSymbolsInVocabularyOrder.map((symbol) => symbol + endOfWord),
  ];
  if (!Number.isInteger(size) || size < symbols.length + 2 || size > 65536)
    throw new RangeError(
      `learnClip: size: expected an integer from ${String(symbols.length + 2)} to 65536, got ${String(size)}`,
    );
  const words = wordsOf(texts);
  const known = new Set(symbols);
  const merges: string[] = [];
  while (known.size < size - 2) {
    const pair = bestPair(words, known);
    if (pair === undefined) break;
    merges.push(pair);
    known.add(pair.replace(" ", ""));
    mergeEverywhere(words, pair);
  }
  const tokens = [...known, startToken, endToken];
  // Written by hand: an object would put tokens that are digits first.
  const entries = tokens.map((token, id) => `${JSON.stringify(token)}: ${String(id)}`);
  return {
    vocabJson: `{${entries.join(", ")}}`,
    mergesTxt: ["#version: 0.2", ...merges, ""].join("\n"),
    size: tokens.length,
  };
}
