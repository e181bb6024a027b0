// SentencePiece's precompiled character map, as tokenizer.json carries it (base64): four bytes with the
// length of a double-array trie, the trie (little-endian 32-bit units), then zero-terminated
// replacements; the value of a trie entry is the offset of its replacement.
//
// A unit of the trie, from the low bit: label (8 bits, bit 31 set in a value unit), "has a value"
// (bit 8), "the offset is shifted by 8" (bit 9), offset (bits 10..30). The child over byte c of the node
// at `position` is at position XOR offset XOR c and carries the label c.

/** A group of characters that a reader sees as one; longer ones (in bytes) go a character at a time. */
const maxClusterBytes = 5;

/**
 * A character and what combines with it. Unicode's other clusters (flags, Hangul, emoji sequences) have
 * more than five bytes, so their characters are looked up one by one as it is. Not Intl.Segmenter: its
 * time grows with the square of the text.
 */
const cluster =
  /\r\n|[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}][\p{M}\p{Grapheme_Extend}\p{Emoji_Modifier}\u200d]*|[^]/gu;

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

export class CharsMap {
  readonly #units: Uint32Array;
  readonly #replacements: Uint8Array;
  readonly #known = new Map<string, string | undefined>();

  /** @throws RangeError if the bytes are no such map */
  constructor(bytes: Uint8Array) {
    if (bytes.length < 8) throw new RangeError("expected at least 8 bytes");
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const trieBytes = view.getUint32(0, true);
    if (trieBytes === 0 || trieBytes % 4 !== 0 || trieBytes > bytes.length - 4)
      throw new RangeError(`expected a trie inside ${String(bytes.length)} bytes`);
    this.#units = Uint32Array.from({ length: trieBytes / 4 }, (_, i) =>
      view.getUint32(4 + 4 * i, true),
    );
    this.#replacements = bytes.subarray(4 + trieBytes);
  }

  /** The text with every mapped character (or cluster of at most five bytes) replaced. */
  apply(text: string): string {
    return text.replace(cluster, (characters) => this.#mapCluster(characters));
  }

  #mapCluster(characters: string): string {
    if (characters.length <= maxClusterBytes && Buffer.byteLength(characters) <= maxClusterBytes) {
      const whole = this.#lookUp(characters);
      if (whole !== undefined) return whole;
    }
    let mapped = "";
    for (const character of characters) mapped += this.#lookUp(character) ?? character;
    return mapped;
  }

  #lookUp(text: string): string | undefined {
    const known = this.#known.get(text);
    if (known !== undefined || this.#known.has(text)) return known;
    const found = this.#replacement(text);
    if (this.#known.size >= 65536) this.#known.clear();
    this.#known.set(text, found);
    return found;
  }

  /** The replacement of the shortest mapped beginning of `text`, which then stands for all of it. */
  #replacement(text: string): string | undefined {
    const units = this.#units;
    let position = offsetOf(units[0]!);
    for (const byte of Buffer.from(text, "utf8")) {
      if (byte === 0) return undefined;
      position ^= byte;
      const unit = units[position];
      if (unit === undefined || (unit & 0x800000ff) !== byte) return undefined;
      position ^= offsetOf(unit);
      if (((unit >>> 8) & 1) === 1) {
        const value = units[position];
        return value === undefined ? undefined : this.#stringAt(value & 0x7fffffff);
      }
    }
    return undefined;
  }

  #stringAt(offset: number): string {
    const bytes = this.#replacements;
    if (offset >= bytes.length) return "";
    const end = bytes.indexOf(0, offset);
    return decoder.decode(bytes.subarray(offset, end < 0 ? bytes.length : end));
  }
}

function offsetOf(unit: number): number {
  return (unit >>> 10) << ((unit & 0x200) >>> 6);
}
