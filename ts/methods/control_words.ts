import { SrpoError } from "../native/error.js";

/** The two lists that SRPO draws from; the user's own replace them. */
export interface ControlWords {
  positive: readonly string[];
  negative: readonly string[];
}

/** Source: Tencent-Hunyuan/SRPO, fastvideo/SRPO.py. */
export const srpoControlWords: ControlWords = {
  positive: ["Natural-lighting", "Detail", "Detailed", "Real"],
  negative: ["Concept art", "Painting", "Anime", "Flat", "Oil"],
};

/** `"<word>. <caption>"`, as the reward's text encoder reads it; the policy sees the caption alone. */
export function withControlWord(word: string, caption: string): string {
  return `${word}. ${caption}`;
}

/**
 * The two prompts of a training step.
 *
 * @param step - counted from 1; the words follow it, modulo each list's length
 */
export function controlPrompts(
  words: ControlWords,
  step: number,
  caption: string,
): { positive: string; negative: string } {
  for (const side of ["positive", "negative"] as const)
    if (words[side].length === 0)
      throw new SrpoError("ERR_CONFIG", `controlWords: ${side}: expected one or more, got none`);
  return {
    positive: withControlWord(words.positive[step % words.positive.length]!, caption),
    negative: withControlWord(words.negative[step % words.negative.length]!, caption),
  };
}
