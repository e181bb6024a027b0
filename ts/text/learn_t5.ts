// Learns a small unigram vocabulary: candidates are the frequent parts of words; the best segmentation of
// all words under the current scores counts the pieces, the counts are the next scores, and pieces that
// are not used are dropped, until the size is reached. Deterministic: ties go by code units.

import { readNormalizer } from "./t5_pipeline.js";
import { Unigram, type UnigramPiece } from "./unigram.js";

const mark = "\u2581"; // stands for a blank
const specials = ["<pad>", "</s>", "<unk>"];
const maxLength = 16; // of a piece, as in the public vocabulary
const rounds = 6;

const steps = {
  type: "Sequence",
  normalizers: [
    { type: "NFKC" },
    ...["\t", "\n", "\r"].map((space) => ({
      type: "Replace",
      pattern: { String: space },
      content: " ",
    })),
    { type: "Strip", strip_left: false, strip_right: true },
    { type: "Replace", pattern: { Regex: " {2,}" }, content: mark },
  ],
};

const byCodeUnits = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

function wordCounts(texts: readonly string[]): Map<string, number> {
  const normalize = readNormalizer("tokenizer.json", steps);
  const counts = new Map<string, number>();
  for (const text of texts)
    for (const word of normalize(text).split(/[ \u2581]+/u))
      if (word !== "") counts.set(mark + word, (counts.get(mark + word) ?? 0) + 1);
  return counts;
}

/** Parts of words that occur twice or more, most letters covered first; at most `limit`. */
function candidates(words: ReadonlyMap<string, number>, limit: number): [string, number][] {
  const counts = new Map<string, number>();
  for (const [word, count] of words) {
    const characters = Array.from(word).slice(0, 64);
    for (let i = 0; i < characters.length; i++)
      for (let j = i + 2; j <= Math.min(characters.length, i + maxLength); j++) {
        const part = characters.slice(i, j).join("");
        counts.set(part, (counts.get(part) ?? 0) + count);
      }
  }
  return [...counts]
    .filter(([, count]) => count >= 2)
    .sort(([a, m], [b, n]) => n * b.length - m * a.length || byCodeUnits(a, b))
    .slice(0, limit);
}

/** Scores from counts: log of the share, a piece that was not seen counting as half an occurrence. */
function scored(counts: readonly [string, number][]): UnigramPiece[] {
  const total = counts.reduce((sum, [, count]) => sum + Math.max(count, 0.5), 0);
  return counts.map(([piece, count]) => ({ piece, score: Math.log(Math.max(count, 0.5) / total) }));
}

/** How often the best segmentations use each piece. */
function usage(words: ReadonlyMap<string, number>, pieces: readonly UnigramPiece[]): number[] {
  // One more piece, that no text holds, stands for what is unknown.
  const model = new Unigram([...pieces, { piece: "\uffff", score: 0 }], pieces.length);
  const counts = pieces.map(() => 0);
  for (const [word, count] of words)
    for (const id of model.encode(word)) if (id < pieces.length) counts[id]! += count;
  return counts;
}

/**
 * Learns a T5-style `tokenizer.json` of at most `size` pieces from texts: `<pad>` 0, `</s>` 1, `<unk>` 2,
 * every character of the texts and of printable ASCII, and the parts of words that explain the texts best.
 * Text is normalised to NFKC. The file is read by T5Tokenizer and by Hugging Face's tokenizers.
 *
 * @param options.size - pieces, at least 3 and the number of different characters
 */
export function learnT5(texts: readonly string[], { size }: { size: number }): string {
  const words = wordCounts(texts.map((text) => text.replace(/\p{Surrogate}/gu, "\ufffd")));
  const letters = new Set(mark);
  for (let code = 0x21; code < 0x7f; code++) letters.add(String.fromCharCode(code));
  for (const word of words.keys()) for (const character of word) letters.add(character);
  const room = size - specials.length - letters.size;
  if (!Number.isInteger(size) || room < 0 || size > 65536)
    throw new RangeError(
      `learnT5: size: expected an integer from ${String(size - room)} to 65536, got ${String(size)}`,
    );

  const singles = [...letters].sort(byCodeUnits);
  let longer = candidates(words, Math.max(4 * room, 1000));
  let alone = singles.map((letter): [string, number] => [letter, 0]);
  for (let round = 0; round < rounds; round++) {
    const pieces = [...alone, ...longer];
    const counts = usage(words, scored(pieces));
    const counted = pieces.map(([piece], i): [string, number] => [piece, counts[i]!]);
    alone = counted.slice(0, singles.length);
    const keep = Math.max(room, Math.floor(longer.length * (round < rounds - 2 ? 0.7 : 0)));
    longer = counted
      .slice(singles.length)
      .filter(([, count]) => count > 0)
      .sort(([a, m], [b, n]) => n - m || byCodeUnits(a, b))
      .slice(0, keep);
  }
  const learned = scored([...alone, ...longer]).sort(
    (a, b) => b.score - a.score || byCodeUnits(a.piece, b.piece),
  );
  return tokenizerJson(learned);
}

function tokenizerJson(learned: readonly UnigramPiece[]): string {
  const vocab = [
    ...specials.map((piece): [string, number] => [piece, 0]),
    ...learned.map(({ piece, score }): [string, number] => [piece, score]),
  ];
  const metaspace = { type: "Metaspace", replacement: mark, prepend_scheme: "first", split: true };
  const end = { SpecialToken: { id: "</s>", type_id: 0 } };
  const sequence = (id: string) => ({ Sequence: { id, type_id: 0 } });
  const file = {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: specials.map((content, id) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: steps,
    pre_tokenizer: metaspace,
    post_processor: {
      type: "TemplateProcessing",
      single: [sequence("A"), end],
      pair: [sequence("A"), end, sequence("B"), end],
      special_tokens: { "</s>": { id: "</s>", ids: [1], tokens: ["</s>"] } },
    },
    decoder: { ...metaspace, prepend_scheme: "always" },
    model: { type: "Unigram", unk_id: 2, vocab, byte_fallback: false },
  };
  return `${JSON.stringify(file, null, 1)}\n`;
}
