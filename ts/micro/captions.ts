import { SrpoError } from "../native/error.js";
import { purposes } from "../ops/random/purposes.js";
import { randomIntegers } from "../ops/random/random_integer.js";
import { attributeValues, type Attributes } from "./attributes.js";
import { splits, type Scene } from "./scenes.js";
import { styles, styleWordAt, styleWords, type Style } from "./styles.js";

const when = { day: "by day", dusk: "at dusk", night: "at night" } as const;
const where = { left: "on the left", centre: "in the centre", right: "on the right" } as const;

/** The phrasings: every attribute is in each, in words of the one vocabulary. */
const templates: readonly ((a: Attributes) => string)[] = [
  (a) =>
    `${when[a.light]}, a ${a.size} ${a.colour} ${a.shape} ${where[a.position]}, on ${a.ground}`,
  (a) => `a ${a.size} ${a.colour} ${a.shape} on ${a.ground} ${when[a.light]}, ${where[a.position]}`,
  (a) => `${a.size} ${a.colour} ${a.shape}, ${a.position}, ${a.ground}, ${a.light}`,
  (a) =>
    `${where[a.position]}, a ${a.size} ${a.colour} ${a.shape}, on ${a.ground}, ${when[a.light]}`,
  (a) => `${a.light}, ${a.ground}, a ${a.size} ${a.shape}, ${a.colour}, ${where[a.position]}`,
  (a) => `on ${a.ground} ${when[a.light]}, ${a.position}, a ${a.size} ${a.colour} ${a.shape}`,
];

/** Tokens of a caption with its style word, start and end tokens included: the text length of all micro models. */
export const captionTokens = 20;

/** How many phrasings `caption` knows. */
export const phrasings = templates.length;

/** The words of a text as a word-level tokenizer has them: commas and full stops are words. */
export function wordsOf(text: string): string[] {
  return text.match(/[^\s,.]+|[,.]/g) ?? [];
}

/**
 * What a scene shows, in one of six phrasings.
 *
 * @param phrasing - 0 to `phrasings` - 1
 * @throws SrpoError ERR_RANGE for another phrasing
 * @example caption(scene.attributes, 0) // "at dusk, a big blue cube on the right, on sand"
 */
export function caption(attributes: Attributes, phrasing: number): string {
  const template = templates[phrasing];
  if (template === undefined)
    throw new SrpoError(
      "ERR_RANGE",
      `caption: phrasing: expected 0 to ${phrasings - 1}, got ${phrasing}`,
    );
  return template(attributes);
}

/** A caption under a control word, as SRPO writes it: "Photo. at dusk, a ...". */
export function withStyleWord(word: string, text: string): string {
  return `${word}. ${text}`;
}

export interface SceneCaption {
  /** Without a style word. */
  plain: string;
  /** A style's word, by the words' shares. */
  words: Readonly<Record<Style, string>>;
  /** Uniform in [0, 1): what decides whether a training caption gets its style word, or is emptied. */
  chance: number;
}

/**
 * A scene's own caption, drawn from its seed, split and number. `variant` names further draws, for
 * epochs that phrase anew.
 */
export function captionOf(scene: Scene, variant = 0): SceneCaption {
  const draws = randomIntegers(0, 2 ** 24 - 1, {
    seed: scene.seed,
    purpose: purposes.microCaption,
    // Eight bits of the split, the rest the variant's.
    step: variant * 256 + splits[scene.split],
    sample: scene.number,
  });
  const next = () => draws.next().value / 2 ** 24;
  const plain = caption(scene.attributes, Math.floor(next() * phrasings));
  const words = Object.fromEntries(styles.map((style) => [style, styleWordAt(style, next())]));
  return { plain, words: words as Record<Style, string>, chance: next() };
}

/** Every word that a caption can hold, sorted; what else a prompt says, no micro model knows. */
export const vocabulary: readonly string[] = (() => {
  const words = new Set<string>();
  const add = (text: string) => wordsOf(text).forEach((word) => words.add(word));
  for (const values of Object.values(attributeValues)) values.forEach(add);
  for (const phrase of [...Object.values(when), ...Object.values(where)]) add(phrase);
  for (const list of Object.values(styleWords)) list.forEach(({ word }) => add(word));
  ["a", "on", ",", "."].forEach(add);
  return [...words].sort();
})();

/** The words of a prompt that no caption has, each once; case does not matter. */
export function unknownWords(prompt: string): string[] {
  const known = new Set(vocabulary.map((word) => word.toLowerCase()));
  return [...new Set(wordsOf(prompt))].filter((word) => !known.has(word.toLowerCase()));
}
