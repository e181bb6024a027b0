import { htmlEntities } from "./html_entities.js";
import { windows1252Character } from "./windows_1252.js";

const reference = /&(?:#[0-9]+;?|#[xX][0-9a-fA-F]+;?|[^\t\n\f <&#;]{1,32};?)/gu;
const strictReference = /&#?[0-9A-Za-z]{1,24};/gu;

/** Code points that a numeric reference may not name: controls (but white space) and non-characters. */
function isInvalid(code: number): boolean {
  if (code === 9 || code === 10 || code === 12) return false;
  if (code < 0x20 || (code >= 0x7f && code <= 0x9f)) return true;
  return (code >= 0xfdd0 && code <= 0xfdef) || (code & 0xfffe) === 0xfffe;
}

function numericReference(digits: string): string {
  const code = /^[xX]/u.test(digits)
    ? Number.parseInt(digits.slice(1), 16)
    : Number.parseInt(digits, 10);
  if (code === 0 || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return "\ufffd";
  if (code === 13) return "\r";
  if (code >= 0x80 && code <= 0x9f) return windows1252Character(code);
  return isInvalid(code) ? "" : String.fromCodePoint(code);
}

/** One pass of HTML unescaping by the rules of HTML 5: the longest known name, semicolon or not. */
export function unescapeHtml(text: string): string {
  if (!text.includes("&")) return text;
  const entities = htmlEntities();
  return text.replace(reference, (match) => {
    if (match[1] === "#") return numericReference(match.slice(2).replace(/;$/u, ""));
    const name = match.slice(1);
    for (let length = name.length; length >= 2; length--) {
      const value = entities.get(name.slice(0, length));
      if (value !== undefined) return value + name.slice(length);
    }
    return match;
  });
}

/**
 * One pass over references that are complete, with their semicolon, as a text repair may take them:
 * an unknown name may be the all-capitals spelling of a lower-case letter's (`&EACUTE;`).
 */
export function unescapeWholeReferences(text: string): string {
  if (!text.includes("&")) return text;
  const entities = htmlEntities();
  return text.replace(strictReference, (match) => {
    if (match[1] === "#") {
      if (!/^&#(?:[0-9]+|[xX][0-9a-fA-F]+);$/u.test(match)) return match;
      return numericReference(match.slice(2, -1));
    }
    const name = match.slice(1);
    const value = entities.get(name);
    if (value !== undefined) return value;
    const lower = name === name.toUpperCase() ? entities.get(name.toLowerCase()) : undefined;
    return lower === undefined ? match : lower.toUpperCase();
  });
}
