// Repair of UTF-8 that was read as Windows-1252 or Latin-1: "schÃ¶n" is "schön" again.
//
// A lead character (Â..ô) with its right number of continuation characters (0x80..0xbf as bytes) is a
// sequence that could be such a misreading. It could also be what was meant ("CAFÉ…"), so a run of
// neighbouring sequences is only decoded if one of them is telling: improbable as text. Where all that
// is not ASCII in the text belongs to sequences, one telling sequence is enough for the whole text.
// What counts as telling was chosen by asking ftfy 6.3.1, the library that the reference tokenizers use,
// about every lead and continuation.

import { singleByte, windows1252Character } from "./windows_1252.js";

const bytesOf = (characters: string): ReadonlySet<number> =>
  new Set(Array.from(characters, (character) => singleByte(character)!));

/** After a capital of the rest of the table these are ordinary text. */
const ordinary = bytesOf("…ŠŒŽ’–—šœžŸ\u00a0\u00ad´·");
/** And these too where no small letter follows; the second set where one stands before the capital. */
const ordinaryAtEnd = bytesOf("€‚„‹‘“”•™›¡¢£¥©«®»¿");
const ordinaryAtEndOfSmall = bytesOf("”™›®»");
/** And these where a small letter follows, but none comes before. */
const ordinaryAtStart = bytesOf("€¢£¥");
/** After Ã, Î and Ð, which begin so much mojibake, only these are. */
const ordinaryAfterCommonLead = bytesOf("…ŒŽ’");
const commonLeads = bytesOf("ÃÎÐ");
/** Capitals that seldom lead mojibake: telling only with a control character. */
const rareLeads = bytesOf("ÒÓÔÕÖ×ÙÚÛÞß");

/** Pairs of punctuation that may follow a small letter (à..ô) in text: [first, second]. */
const ordinaryPairs: readonly (readonly [ReadonlySet<number>, ReadonlySet<number>])[] = (
  [
    ["‚„‹‘“•¡©«¿", "€‚„…‹‘’“”•–—™›\u00a0¡¢£¥§©«\u00ad®°´¶·»¿"],
    ["”™›®»", "…’”–—™›\u00a0§\u00ad®°±´¶·»"],
    ["šž", "…’–—šœž\u00a0§\u00ad°±²³´µ¶·¹¼½¾"],
    ["§¶", "€‚„…Š‹ŒŽ‘’“”•–—™š›œžŸ\u00a0¡¢£¥§©«\u00ad®°±²³´µ¶·¹»¼½¾¿"],
    ["±²³µ¹¼½¾", "€…’”–—™›\u00a0¢£¥§\u00ad®°±²³´µ¶·¹»¼½¾"],
  ] as const
).map(([first, second]) => [bytesOf(first), bytesOf(second)]);
/** First characters after which every second one is ordinary. */
const ordinaryFirst = bytesOf("…’–—\u00a0\u00ad°´·");

interface Sequence {
  readonly start: number;
  readonly length: number;
}

/** The length of the strict UTF-8 sequence at `i`, two bytes or more; 0 if there is none. */
function sequenceLength(bytes: Int16Array, i: number): number {
  const lead = bytes[i]!;
  if (lead < 0xc2 || lead > 0xf4) return 0;
  const length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  for (let k = 1; k < length; k++) {
    const byte = bytes[i + k] ?? -1;
    if (byte < 0x80 || byte > 0xbf) return 0;
  }
  const second = bytes[i + 1]!;
  if (lead === 0xe0 && second < 0xa0) return 0; // would be overlong
  if (lead === 0xed && second > 0x9f) return 0; // a surrogate
  if (lead === 0xf0 && second < 0x90) return 0;
  if (lead === 0xf4 && second > 0x8f) return 0; // past U+10FFFF
  return length;
}

function isTelling(text: string, bytes: Int16Array, { start, length }: Sequence): boolean {
  for (let k = 1; k < length; k++) {
    const code = text.charCodeAt(start + k);
    if (code >= 0x80 && code <= 0x9f) return true; // a control character is never meant
  }
  const [lead, first, second] = [bytes[start]!, bytes[start + 1]!, bytes[start + 2]!];
  if (length === 2) {
    const afterSmall = /[a-z]/u.test(text[start - 1] ?? "");
    const beforeSmall = /[a-z]/u.test(text[start + 2] ?? "");
    if (lead === 0xc2) return first >= 0xa0 && (afterSmall || first !== 0xa5);
    if (commonLeads.has(lead))
      return !ordinaryAfterCommonLead.has(first) && (afterSmall || first !== 0xa5);
    if (rareLeads.has(lead)) return false;
    if (ordinary.has(first)) return false;
    if (!beforeSmall) return !(afterSmall ? ordinaryAtEndOfSmall : ordinaryAtEnd).has(first);
    return (
      /[a-z] ?$/u.test(text.slice(Math.max(0, start - 2), start)) || !ordinaryAtStart.has(first)
    );
  }
  if (length === 4 && first === 0x9f) return true; // "ðŸ": an emoji
  if (ordinaryFirst.has(first)) return false;
  return !ordinaryPairs.some(([firsts, seconds]) => firsts.has(first) && seconds.has(second));
}

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

function decode(bytes: Int16Array, start: number, end: number): string {
  return decoder.decode(Uint8Array.from(bytes.subarray(start, end)));
}

/** Text may have been misread more than once; so many layers are taken off. */
const maxLayers = 8;

/** The text repaired, layer by layer; without a telling sequence it comes back as it is. */
export function repairMojibake(text: string): string {
  let current = text;
  for (let layer = 0; layer < maxLayers; layer++) {
    const repaired = repairLayer(current);
    if (repaired === current) break;
    current = repaired;
  }
  return current;
}

function repairLayer(text: string): string {
  if (!/[\u00c2-\u00f4]/u.test(text)) return text;
  const bytes = Int16Array.from({ length: text.length }, (_, i) => singleByte(text[i]!) ?? -1);
  const runs: { start: number; end: number; telling: boolean }[] = [];
  let consistent = true;
  for (let i = 0; i < text.length;) {
    const length = sequenceLength(bytes, i);
    if (length === 0) {
      if (bytes[i]! < 0 || bytes[i]! >= 0x80) consistent = false;
      i++;
      continue;
    }
    const telling = isTelling(text, bytes, { start: i, length });
    const last = runs.at(-1);
    if (last?.end === i) {
      last.end += length;
      last.telling ||= telling;
    } else runs.push({ start: i, end: i + length, telling });
    i += length;
  }
  if (!runs.some((run) => run.telling)) return text;
  const parts: string[] = [];
  let at = 0;
  for (const { start, end, telling } of runs) {
    if (!telling && !consistent) continue;
    parts.push(text.slice(at, start), decode(bytes, start, end));
    at = end;
  }
  return parts.join("") + text.slice(at);
}

/** Control characters 0x80..0x9f are what Windows-1252 has there. */
export function repairControls(text: string): string {
  return text.replace(/[\u0080-\u009f]/gu, (character) =>
    windows1252Character(character.charCodeAt(0)),
  );
}
