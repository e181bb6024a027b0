// The printable characters that stand for the 256 bytes in a byte-level vocabulary. Bytes 33..126,
// 161..172 and 174..255 stand for themselves; the other 68, in increasing order, are U+0100, U+0101, ...
// (models.md 13)

const isPrintable = (byte: number): boolean =>
  (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;

/** Byte to symbol; 256 entries. */
export const byteSymbols: readonly string[] = (() => {
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) =>
    String.fromCodePoint(isPrintable(byte) ? byte : next++),
  );
})();

/**
 * The byte symbols in the order of the public vocabulary's first 256 ids: the printable bytes first,
 * then the 68 others.
 */
export const byteSymbolsInVocabularyOrder: readonly string[] = [
  ...byteSymbols.filter((_, byte) => isPrintable(byte)),
  ...byteSymbols.filter((_, byte) => !isPrintable(byte)),
];

/** What marks the last symbol of a word. */
export const endOfWord = "</w>";
