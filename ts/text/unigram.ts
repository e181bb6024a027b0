// Segmentation by a unigram model: of all ways to cut a text into pieces of the vocabulary the one whose
// scores (log-probabilities) sum highest. One pass from left to right keeps, for every position, the best
// way to reach it (Viterbi); of equal ways the one found first, which has the longer last piece.

/** A character no piece covers costs this much more than the worst piece. */
const unknownPenalty = 10;

export interface UnigramPiece {
  readonly piece: string;
  readonly score: number;
}

export class Unigram {
  readonly #unknown: number;
  readonly #unknownScore: number;
  readonly #scores: Float64Array;
  /** The trie: node * 2^16 + UTF-16 code unit to node; the root is 0. */
  readonly #children = new Map<number, number>();
  /** Node to piece id, -1 where none ends. */
  readonly #ids: number[] = [-1];

  /** `pieces` by id, each of them once and none empty; `unknown` is the id of what is not covered. */
  constructor(pieces: readonly UnigramPiece[], unknown: number) {
    this.#unknown = unknown;
    this.#scores = Float64Array.from(pieces, ({ score }) => score);
    this.#unknownScore = this.#scores.reduce((a, b) => Math.min(a, b), Infinity) - unknownPenalty;
    for (const [id, { piece }] of pieces.entries()) this.#insert(piece, id);
  }

  #insert(piece: string, id: number): void {
    let node = 0;
    for (let i = 0; i < piece.length; i++) {
      const key = node * 0x10000 + piece.charCodeAt(i);
      let child = this.#children.get(key);
      if (child === undefined) {
        child = this.#ids.push(-1) - 1;
        this.#children.set(key, child);
      }
      node = child;
    }
    this.#ids[node] = id;
  }

  /** The ids of the best segmentation of well-formed text; neighbouring unknowns are one. */
  encode(text: string): number[] {
    const n = text.length;
    const best = new Float64Array(n + 1);
    const from = new Int32Array(n + 1).fill(-1);
    const idAt = new Int32Array(n + 1);
    const offer = (start: number, end: number, id: number, score: number): void => {
      const total = best[start]! + score;
      if (from[end]! >= 0 && total <= best[end]!) return;
      best[end] = total;
      from[end] = start;
      idAt[end] = id;
    };
    for (let start = 0, width; start < n; start += width) {
      width = text.codePointAt(start)! > 0xffff ? 2 : 1;
      let single = false;
      for (let end = start, node: number | undefined = 0; end < n;) {
        node = this.#children.get(node * 0x10000 + text.charCodeAt(end++));
        if (node === undefined) break;
        const id = this.#ids[node]!;
        if (id < 0) continue;
        offer(start, end, id, this.#scores[id]!);
        if (end - start === width) single = true;
      }
      if (!single) offer(start, start + width, this.#unknown, this.#unknownScore);
    }
    const ids: number[] = [];
    for (let end = n; end > 0; end = from[end]!) {
      const id = idAt[end]!;
      if (id !== this.#unknown || ids.at(-1) !== this.#unknown) ids.push(id);
    }
    ids.reverse();
    return ids;
  }
}
