// Text repair as ftfy.fix_text does it, written from its observed behaviour (models.md 13): what the
// reference tokenizers run before they split. It matters for unusual text only.

import { unescapeWholeReferences } from "./html.js";
import { repairControls, repairMojibake } from "./mojibake.js";

/** Each round can undo one layer of escaping; nobody nests deeper, and a hostile text may not loop. */
const maxRounds = 16;

const ligatures = new Map(
  Object.entries({
    Ĳ: "IJ",
    ĳ: "ij",
    ŉ: "ʼn",
    Ǆ: "DŽ",
    ǅ: "Dž",
    ǆ: "dž",
    Ǉ: "LJ",
    ǈ: "Lj",
    ǉ: "lj",
    Ǌ: "NJ",
    ǋ: "Nj",
    ǌ: "nj",
    Ǳ: "DZ",
    ǲ: "Dz",
    ǳ: "dz",
    ﬀ: "ff",
    ﬁ: "fi",
    ﬂ: "fl",
    ﬃ: "ffi",
    ﬄ: "ffl",
    ﬅ: "ſt",
    ﬆ: "st",
  }),
);
const ligature = new RegExp(`[${[...ligatures.keys()].join("")}]`, "gu");

function repairOnce(text: string, unescape: boolean): string {
  let fixed = unescape ? unescapeWholeReferences(text) : text;
  fixed = repairControls(repairMojibake(fixed));
  fixed = fixed.replace(ligature, (character) => ligatures.get(character)!);
  // Half-width and full-width forms, and the blank of their width.
  fixed = fixed.replace(/[\u3000\uff01-\uffef]+/gu, (forms) => forms.normalize("NFKC"));
  fixed = fixed.replace(/[\u02bc\u2018-\u201b]/gu, "'").replace(/[\u201c-\u201f]/gu, '"');
  fixed = fixed.replace(/\r\n|[\r\u2028\u2029]/gu, "\n");
  fixed = fixed.replace(/\p{Surrogate}/gu, "\ufffd"); // a lone half only: pairs are one character here
  // The escapes that colour a terminal, then what controls nothing that we print.
  // oxlint-disable-next-line no-control-regex -- control characters are what is removed
  fixed = fixed.replace(/\u001b\[[0-9;]*[A-Za-z]/gu, "");
  fixed = fixed.replace(
    // oxlint-disable-next-line no-control-regex -- as above
    /[\u0000-\u0008\u000b\u000e-\u001f\u007f\u206a-\u206f\ufeff\ufff9-\ufffc]/gu,
    "",
  );
  return fixed.normalize("NFC");
}

/**
 * Repairs a text line by line: HTML entities (until a line holds a "<"), mojibake, stray control
 * characters, ligatures, full-width and half-width forms, curly quotes, line breaks, terminal escapes,
 * then NFC; again until nothing changes.
 */
export function fixText(text: string): string {
  if (isPlain(text)) return text;
  let unescape = true;
  const lines = text.split(/(?<=\n)/u).map((line) => {
    unescape &&= !line.includes("<");
    return repairLine(line, unescape);
  });
  return lines.join("");
}

/** Printable ASCII without a reference: nothing to repair. */
function isPlain(text: string): boolean {
  return /^[\n\x20-%'-~]*$/u.test(text);
}

function repairLine(line: string, unescape: boolean): string {
  if (isPlain(line)) return line;
  let current = line;
  for (let round = 0; round < maxRounds; round++) {
    const fixed = repairOnce(current, unescape);
    if (fixed === current) break;
    current = fixed;
  }
  return current;
}
