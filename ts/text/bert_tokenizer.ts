import { checkedMaxLength, padBatch, type TokenBatch } from "./batch.js";
import { loadBertVocabulary, type BertVocabulary } from "./bert_vocabulary.js";
import { bertWords } from "./bert_words.js";

export interface BertTokenizerOptions {
  /** Ids a text has at most, start and end included; default 35, as ImageReward uses it. */
  readonly maxLength?: number;
}

// A longer word is unknown as a whole.
const longestWord = 100;

/** BERT's WordPiece tokenizer, uncased, with the two tokens that BLIP adds. */
export class BertTokenizer {
  readonly maxLength: number;
  readonly #vocabulary: BertVocabulary;
  readonly #specialPattern: RegExp;

  private constructor(vocabulary: BertVocabulary, { maxLength = 35 }: BertTokenizerOptions) {
    this.maxLength = checkedMaxLength("BertTokenizer", maxLength, 2);
    this.#vocabulary = vocabulary;
    const spelled = [...vocabulary.special].map((t) => t.replaceAll(/[[\]]/g, "\\$&"));
    this.#specialPattern = new RegExp(`(${spelled.join("|")})`);
  }

  /**
   * Reads `vocab.txt` of a folder (bert-base-uncased's for ImageReward).
   *
   * @throws SrpoError ERR_CHECKPOINT, naming the file and what is wrong in it
   * @example const tokenizer = await BertTokenizer.load("imagereward");
   */
  static async load(folder: string, options: BertTokenizerOptions = {}): Promise<BertTokenizer> {
    return new BertTokenizer(await loadBertVocabulary(folder), options);
  }

  /** Entries of the vocabulary; every id is smaller. */
  get vocabularySize(): number {
    return this.#vocabulary.size;
  }

  /** The text's ids between start and end; at most `maxLength`, the last kept being the end. Not padded. */
  encode(text: string): number[] {
    const { ids, special, start, end } = this.#vocabulary;
    const wellFormed = text.replace(/\p{Surrogate}/gu, "\ufffd");
    const found: number[] = [start];
    for (const part of wellFormed.split(this.#specialPattern)) {
      if (special.has(part)) found.push(ids.get(part)!);
      else for (const word of bertWords(part)) found.push(...this.#pieces(word));
      if (found.length >= this.maxLength) break;
    }
    return [...found.slice(0, this.maxLength - 1), end];
  }

  /** Several texts, padded to [B, maxLength]. */
  encodeBatch(texts: readonly string[]): TokenBatch {
    const rows = texts.map((text) => this.encode(text));
    return padBatch(rows, this.maxLength, this.#vocabulary.pad);
  }

  /** A word as the longest pieces from the left; unknown as a whole if one is missing. */
  #pieces(word: string): number[] {
    const { ids, unknown } = this.#vocabulary;
    const letters = Array.from(word);
    if (letters.length > longestWord) return [unknown];
    const pieces: number[] = [];
    for (let start = 0; start < letters.length;) {
      const mark = start === 0 ? "" : "##";
      let stop = letters.length;
      while (stop > start && !ids.has(mark + letters.slice(start, stop).join(""))) --stop;
      if (stop === start) return [unknown];
      pieces.push(ids.get(mark + letters.slice(start, stop).join(""))!);
      start = stop;
    }
    return pieces;
  }
}
