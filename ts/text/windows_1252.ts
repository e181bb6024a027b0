/** What Windows-1252 has at 0x80..0x9f; the five holes stay the control characters they are. */
const upperHalf =
  "\u20ac\u0081\u201a\u0192\u201e\u2026\u2020\u2021\u02c6\u2030\u0160\u2039\u0152\u008d\u017d\u008f" +
  "\u0090\u2018\u2019\u201c\u201d\u2022\u2013\u2014\u02dc\u2122\u0161\u203a\u0153\u009d\u017e\u0178";

/** Byte (0..255) to character. */
export function windows1252Character(byte: number): string {
  return byte >= 0x80 && byte < 0xa0 ? upperHalf[byte - 0x80]! : String.fromCharCode(byte);
}

const bytes = new Map(Array.from({ length: 256 }, (_, byte) => [windows1252Character(byte), byte]));

/** Character to byte, as Windows-1252 or, for what that lacks, as Latin-1; undefined for the rest. */
export function singleByte(character: string): number | undefined {
  const code = character.charCodeAt(0);
  return bytes.get(character) ?? (code < 256 ? code : undefined);
}
