// White space, spelled out: JavaScript's \s holds U+FEFF and lacks U+0085, and Python's str.split()
// takes four separators (U+001C..U+001F) that Unicode's White_Space, and so Rust, does not.

/** Unicode's White_Space, for use inside a character class. */
export const whiteSpace =
  "\\t-\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";

const pythonSpaceRun = new RegExp(`[${whiteSpace}\\x1c-\\x1f]+`, "gu");
const pythonSpace = new RegExp(`[${whiteSpace}\\x1c-\\x1f]`, "u");
const unicodeSpaceRun = new RegExp(`[${whiteSpace}]+`, "gu");

/** Runs of what Python calls white space become one blank; none is left at the ends. */
export function collapseSpace(text: string): string {
  const single = text.replace(pythonSpaceRun, " ");
  return single.slice(single.startsWith(" ") ? 1 : 0, single.endsWith(" ") ? -1 : undefined);
}

/** Runs of Unicode white space become one blank, at the ends too. */
export function collapseUnicodeSpace(text: string): string {
  return text.replace(unicodeSpaceRun, " ");
}

/** Python's str.strip(). */
export function stripSpace(text: string): string {
  let [start, end] = [0, text.length];
  while (start < end && pythonSpace.test(text[start]!)) start++;
  while (end > start && pythonSpace.test(text[end - 1]!)) end--;
  return text.slice(start, end);
}
