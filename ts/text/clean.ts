// What each tokenizer does to a text before it splits it (models.md 13).

import { fixText } from "./fix_text.js";
import { unescapeHtml } from "./html.js";
import { collapseSpace, collapseUnicodeSpace, stripSpace } from "./white_space.js";

/** open_clip and HPSv2: repair, HTML-unescape twice, collapse white space, lower case. */
export function cleanOpenClip(text: string): string {
  const unescaped = stripSpace(unescapeHtml(unescapeHtml(fixText(text))));
  return collapseSpace(unescaped).toLowerCase();
}

/** transformers' CLIPTokenizer with ftfy: repair, collapse white space, lower case. */
export function cleanHf(text: string): string {
  return collapseSpace(fixText(text)).toLowerCase();
}

/** Han characters: transformers' CLIPTokenizer without ftfy puts blanks around each. */
const han =
  /[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u{20000}-\u{2a6df}\u{2a700}-\u{2b73f}\u{2b740}-\u{2b81f}\u{2b820}-\u{2ceaf}\u{2f800}-\u{2fa1f}]/gu;

/** transformers' CLIPTokenizer without ftfy: BERT's cleaning, accents kept. */
export function cleanHfBasic(text: string): string {
  const visible = text
    .replace(/[\t\n\r\p{Zs}]/gu, " ")
    .replace(/[\p{C}\ufffd]/gu, "")
    .replace(han, " $& ");
  return collapseSpace(visible.normalize("NFC")).toLowerCase();
}

/** The fast tokenizer: NFC, white space collapsed but not stripped, lower case a character at a time. */
export function cleanHfFast(text: string): string {
  // Final sigma depends on context in JavaScript and in Python, not here.
  return collapseUnicodeSpace(text.normalize("NFC")).replaceAll("Σ", "σ").toLowerCase();
}
