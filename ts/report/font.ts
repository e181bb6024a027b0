// The letters of labels in PNG sheets, drawn for this house: 5 x 8 dots, the last row for descenders.

/** Dots across and down of a letter, and from one letter to the next. */
export const letterSize = { width: 5, height: 8, advance: 6 } as const;

// A row is five bits, the highest the leftmost dot: two hexadecimal digits a row, eight rows a letter.
const drawn: Readonly<Record<string, string>> = {
  a: "00000e010f110f00",
  b: "10101e1111111e00",
  c: "00000e1110110e00",
  d: "01010f1111110f00",
  e: "00000e111f100e00",
  f: "0609081c08080800",
  g: "00000f11110f010e",
  h: "1010161911111100",
  i: "04000c0404040e00",
  j: "020006020202120c",
  k: "1010121418141200",
  l: "0c04040404040e00",
  m: "00001a1515151500",
  n: "0000161911111100",
  o: "00000e1111110e00",
  p: "00001e11111e1010",
  q: "00000f11110f0101",
  r: "0000161910101000",
  s: "00000f100e011e00",
  t: "08081c0808090600",
  u: "0000111111130d00",
  v: "00001111110a0400",
  w: "0000111515150a00",
  x: "0000110a040a1100",
  y: "00001111110f010e",
  z: "00001f0204081f00",
  A: "0e11111f11111100",
  B: "1e11111e11111e00",
  C: "0e11101010110e00",
  D: "1c12111111121c00",
  E: "1f10101e10101f00",
  F: "1f10101e10101000",
  G: "0e11101711110f00",
  H: "1111111f11111100",
  I: "0e04040404040e00",
  J: "0702020202120c00",
  K: "1112141814121100",
  L: "1010101010101f00",
  M: "111b151511111100",
  N: "1111191513111100",
  O: "0e11111111110e00",
  P: "1e11111e10101000",
  Q: "0e11111115120d00",
  R: "1e11111e14121100",
  S: "0f10100e01011e00",
  T: "1f04040404040400",
  U: "1111111111110e00",
  V: "11111111110a0400",
  W: "1111111515150a00",
  X: "11110a040a111100",
  Y: "11110a0404040400",
  Z: "1f01020408101f00",
  0: "0e11131519110e00",
  1: "040c040404040e00",
  2: "0e11010204081f00",
  3: "1f02040201110e00",
  4: "02060a121f020200",
  5: "1f101e0101110e00",
  6: "0608101e11110e00",
  7: "1f01020408080800",
  8: "0e11110e11110e00",
  9: "0e11110f01020c00",
  ",": "00000000000c0408",
  ".": "00000000000c0c00",
  "-": "0000001f00000000",
  "+": "0004041f04040000",
  "/": "0001020408100000",
  "(": "0204080808040200",
  ")": "0804020202040800",
  ":": "000c0c000c0c0000",
  "|": "0404040404040400",
  "%": "1819020408130300",
  "'": "0c04080000000000",
  "=": "00001f001f000000",
  "?": "0e11010204000400",
  " ": "0000000000000000",
};

// What is not drawn above is shown as a box: a label never lies about its length.
const unknown = "1f11111111111f00";

/** A letter's rows from top to bottom, five bits each, the highest the leftmost dot. */
export function letterRows(letter: string): number[] {
  const known = Object.hasOwn(drawn, letter) ? drawn[letter]! : unknown;
  return Array.from({ length: letterSize.height }, (_, row) =>
    Number.parseInt(known.slice(2 * row, 2 * row + 2), 16),
  );
}

/** Lines of at most `letters` each, broken between words where that can be. */
export function wrapped(text: string, letters: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(/\s+/).filter((part) => part !== "")) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= letters)
      lines[lines.length - 1] = `${last} ${word}`;
    else
      for (let from = 0; from < word.length; from += letters)
        lines.push(word.slice(from, from + letters));
  }
  return lines;
}
