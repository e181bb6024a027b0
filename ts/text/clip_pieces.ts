// How a text becomes pieces, each of which the merges see alone, in the four ways of models.md 13.
// The split pattern is case-insensitive in its origin; its texts are lower-case already, and the one
// character that then still differs by case is the long s.

import { cleanHf, cleanHfBasic, cleanHfFast, cleanOpenClip } from "./clean.js";
import { endToken, startToken } from "./clip_vocabulary.js";
import { whiteSpace } from "./white_space.js";

/**
 * `open_clip`: open_clip and HPSv2. `hf`: transformers' CLIPTokenizer where ftfy is installed, as the
 * FLUX pipelines run it. `hf_basic`: the same without ftfy. `hf_fast`: CLIPTokenizerFast.
 */
export type ClipVariant = "open_clip" | "hf" | "hf_fast" | "hf_basic";

export const clipVariants: readonly ClipVariant[] = ["open_clip", "hf", "hf_fast", "hf_basic"];

/** A piece of text, or one of the two special tokens. */
export type Piece = string | typeof start | typeof end;
export const start = Symbol("start");
export const end = Symbol("end");

const rest = `'t|'re|'ve|'m|'ll|'d|\\p{L}+|\\p{N}|[^${whiteSpace}\\p{L}\\p{N}]+`;

const openClipPattern = new RegExp(`<[sſ]tart_of_text>|<end_of_text>|'[sſ]|${rest}`, "gu");
const hfPattern = new RegExp(`<\\|[sſ]tartoftext\\|>|<\\|endoftext\\|>|'[sſ]|${rest}`, "gu");
const hfFastPattern = new RegExp(`'s|${rest}`, "gu");

const openClipSpecials = new Map<string, Piece>([
  ["<start_of_text>", start],
  ["<end_of_text>", end],
]);
const hfSpecials = new Map<string, Piece>([
  [startToken, start],
  [endToken, end],
]);

function* matches(
  text: string,
  pattern: RegExp,
  specials?: ReadonlyMap<string, Piece>,
): Generator<Piece> {
  for (const [match] of text.matchAll(pattern)) yield specials?.get(match) ?? match;
}

/** The text between occurrences of `tokens` (kept, as the specials they are), each cleaned and split. */
function* aroundSpecials(
  text: string,
  tokens: RegExp,
  inner: (segment: string) => Generator<Piece>,
): Generator<Piece> {
  for (const segment of text.split(tokens)) {
    const special = hfSpecials.get(segment);
    if (special !== undefined) yield special;
    else yield* inner(segment);
  }
}

const bothTokens = /(<\|startoftext\|>|<\|endoftext\|>)/u;

/** The pieces of a text, found as they are asked for. */
export function clipPieces(text: string, variant: ClipVariant): Generator<Piece> {
  switch (variant) {
    case "open_clip":
      return matches(cleanOpenClip(text), openClipPattern, openClipSpecials);
    case "hf":
    case "hf_basic": {
      const clean = variant === "hf" ? cleanHf : cleanHfBasic;
      return aroundSpecials(text, bothTokens, (segment) =>
        matches(clean(segment), hfPattern, hfSpecials),
      );
    }
    case "hf_fast":
      // The end token is looked for in the text as it came, the start token in the cleaned one.
      return aroundSpecials(text, /(<\|endoftext\|>)/u, (segment) =>
        aroundSpecials(cleanHfFast(segment), /(<\|startoftext\|>)/u, (cleaned) =>
          matches(cleaned, hfFastPattern),
        ),
      );
  }
}
