import { checkedMaxLength, checkedPad, padBatch, type TokenBatch } from "./batch.js";
import { clipPieces, clipVariants, end, start, type ClipVariant } from "./clip_pieces.js";
import { loadClipVocabulary, type ClipVocabulary } from "./clip_vocabulary.js";
import { mergeSymbols } from "./merge.js";

export interface ClipTokenizerOptions {
  /** How texts are cleaned and split; see ClipVariant. */
  readonly variant: ClipVariant;
  /** Ids a text has at most, start and end included; default 77. */
  readonly maxLength?: number;
  /** The padding id, or "end" for the end token's; default 0 for open_clip, "end" for the others. */
  readonly pad?: number | "end";
}

/** Pieces that are remembered with their ids, and the longest of them. */
const cacheEntries = 16384;
const cachedLength = 48;

/** CLIP's byte-level BPE, as open_clip or as transformers runs it. */
export class ClipTokenizer {
  readonly variant: ClipVariant;
  readonly maxLength: number;
  readonly pad: number;
  readonly #vocabulary: ClipVocabulary;
  readonly #cache = new Map<string, readonly number[]>();

  private constructor(vocabulary: ClipVocabulary, options: ClipTokenizerOptions) {
    if (!clipVariants.includes(options.variant))
      throw new TypeError(
        `ClipTokenizer: variant: expected ${clipVariants.join(", ")}, got ${options.variant}`,
      );
    const pad = options.pad ?? (options.variant === "open_clip" ? 0 : "end");
    this.variant = options.variant;
    this.maxLength = checkedMaxLength("ClipTokenizer", options.maxLength ?? 77, 2);
    this.pad = checkedPad("ClipTokenizer", pad === "end" ? vocabulary.end : pad, vocabulary.size);
    this.#vocabulary = vocabulary;
  }

  /**
   * Reads `vocab.json` and `merges.txt` of a tokenizer folder.
   *
   * @throws SrpoError ERR_CHECKPOINT, naming the file and what is wrong in it
   * @example const tokenizer = await ClipTokenizer.load("flux/tokenizer", { variant: "hf" });
   */
  static async load(folder: string, options: ClipTokenizerOptions): Promise<ClipTokenizer> {
    return new ClipTokenizer(await loadClipVocabulary(folder), options);
  }

  /** Entries of the vocabulary; every id is smaller. */
  get vocabularySize(): number {
    return this.#vocabulary.size;
  }

  /** The ids of the start and the end token. */
  get startId(): number {
    return this.#vocabulary.start;
  }

  get endId(): number {
    return this.#vocabulary.end;
  }

  /** Start, the text's ids, end; at most `maxLength`, the last kept being the end token. Not padded. */
  encode(text: string): number[] {
    const ids = this.#idsOf(text, this.maxLength - 1);
    ids.push(this.#vocabulary.end);
    return ids;
  }

  /** Whether `encode` has all of a text: one that is longer is cut. */
  fits(text: string): boolean {
    return this.#idsOf(text, this.maxLength).length < this.maxLength;
  }

  /** Start and the text's ids, the first `most`. */
  #idsOf(text: string, most: number): number[] {
    const ids = [this.#vocabulary.start];
    for (const piece of clipPieces(text, this.variant)) {
      if (ids.length >= most) break;
      if (piece === start) ids.push(this.#vocabulary.start);
      else if (piece === end) ids.push(this.#vocabulary.end);
      else for (const id of this.#encodePiece(piece)) ids.push(id);
    }
    ids.length = Math.min(ids.length, most);
    return ids;
  }

  /** Several texts, padded to [B, maxLength]. */
  encodeBatch(texts: readonly string[]): TokenBatch {
    return padBatch(
      texts.map((text) => this.encode(text)),
      this.maxLength,
      this.pad,
    );
  }

  #encodePiece(piece: string): readonly number[] {
    const known = this.#cache.get(piece);
    if (known !== undefined) return known;
    const { bytes, lastBytes, merges } = this.#vocabulary;
    const utf8 = Buffer.from(piece, "utf8");
    const symbols = Int32Array.from(utf8, (byte) => bytes[byte]!);
    symbols[utf8.length - 1] = lastBytes[utf8[utf8.length - 1]!]!;
    const ids = mergeSymbols(symbols, merges);
    if (piece.length <= cachedLength) {
      if (this.#cache.size >= cacheEntries) this.#cache.clear();
      this.#cache.set(piece, ids);
    }
    return ids;
  }
}
