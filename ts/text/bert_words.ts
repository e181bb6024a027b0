// What BERT's tokenizer does to a text before it looks words up: transformers' BasicTokenizer, lower case.
import { whiteSpace } from "./white_space.js";

const spaceRun = new RegExp(`[${whiteSpace}\\x1c-\\x1f]+`, "u");
/** Python's isspace among what the cleaning keeps, and what it makes blanks of. */
const blank = /[\t\n\r\p{Zs}]/gu;
const unseen = /[\p{C}\ufffd]/gu;
/** The blocks that BERT calls Chinese: a blank stands around each character. */
const han =
  /[\u4e00-\u9fff\u3400-\u4dbf\uf900-\ufaff\u{20000}-\u{2a6df}\u{2a700}-\u{2b73f}\u{2b740}-\u{2b81f}\u{2b820}-\u{2ceaf}\u{2f800}-\u{2fa1f}]/gu;
/** Every ASCII sign that is no letter, digit or blank counts as punctuation, `$` and `^` too. */
const punctuation = /([!-/:-@[-`{-~\p{P}])/u;

/**
 * The words of a text: control characters dropped, split at white space, lower case, accents dropped, each
 * punctuation mark a word of its own.
 */
export function bertWords(text: string): string[] {
  const visible = text.replace(blank, " ").replace(unseen, "").replace(han, " $& ");
  return visible
    .normalize("NFC")
    .split(spaceRun)
    .flatMap((word) =>
      word
        .toLowerCase()
        .normalize("NFD")
        .replace(/\p{Mn}/gu, "")
        .split(punctuation),
    )
    .filter((word) => word !== "");
}
