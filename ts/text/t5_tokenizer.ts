import { checkedMaxLength, padBatch, type TokenBatch } from "./batch.js";
import { loadT5Vocabulary, type T5Vocabulary } from "./t5_vocabulary.js";

export interface T5TokenizerOptions {
  /** Ids a text has at most, the end included; default 512, as FLUX.1-dev runs it. */
  readonly maxLength?: number;
}

/** Words that are remembered with their ids, and the longest of them. */
const cacheEntries = 16384;
const cachedLength = 48;

/** T5's unigram tokenizer. */
export class T5Tokenizer {
  readonly maxLength: number;
  readonly #vocabulary: T5Vocabulary;
  readonly #cache = new Map<string, readonly number[]>();

  private constructor(vocabulary: T5Vocabulary, { maxLength = 512 }: T5TokenizerOptions) {
    this.maxLength = checkedMaxLength("T5Tokenizer", maxLength, 1);
    this.#vocabulary = vocabulary;
  }

  /**
   * Reads `tokenizer.json` of a tokenizer folder.
   *
   * @throws SrpoError ERR_CHECKPOINT, naming the file and what is wrong in it
   * @example const tokenizer = await T5Tokenizer.load("flux/tokenizer_2", { maxLength: 512 });
   */
  static async load(folder: string, options: T5TokenizerOptions = {}): Promise<T5Tokenizer> {
    return new T5Tokenizer(await loadT5Vocabulary(folder), options);
  }

  /** Entries of the vocabulary, added tokens included; every id is smaller. */
  get vocabularySize(): number {
    return this.#vocabulary.size;
  }

  /** The ids of padding and of the end. */
  get pad(): number {
    return this.#vocabulary.pad;
  }

  get endId(): number {
    return this.#vocabulary.end;
  }

  /** The text's ids and the end; at most `maxLength`, the last kept being the end. Not padded. */
  encode(text: string): number[] {
    const ids = this.#idsOf(text, this.maxLength - 1);
    ids.push(this.#vocabulary.end);
    return ids;
  }

  /** Whether `encode` has all of a text: one that is longer is cut. */
  fits(text: string): boolean {
    return this.#idsOf(text, this.maxLength).length < this.maxLength;
  }

  /** The text's ids, the first `most`. */
  #idsOf(text: string, most: number): number[] {
    const { added, addedPattern, normalize, preTokenize } = this.#vocabulary;
    const wellFormed = text.replace(/\p{Surrogate}/gu, "\ufffd");
    const segments = addedPattern === undefined ? [wellFormed] : wellFormed.split(addedPattern);
    const ids: number[] = [];
    for (const [i, segment] of segments.entries()) {
      if (ids.length >= most) break;
      const special = i % 2 === 1 ? added.get(segment) : undefined;
      if (special !== undefined) ids.push(special);
      else
        for (const word of preTokenize(normalize(segment), i === 0)) {
          if (ids.length >= most) break;
          for (const id of this.#encodeWord(word)) ids.push(id);
        }
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

  #encodeWord(word: string): readonly number[] {
    const known = this.#cache.get(word);
    if (known !== undefined) return known;
    const ids = this.#vocabulary.model.encode(word);
    if (word.length <= cachedLength) {
      if (this.#cache.size >= cacheEntries) this.#cache.clear();
      this.#cache.set(word, ids);
    }
    return ids;
  }
}
