// Byte pair encoding of one piece: repeatedly merge the adjacent pair of lowest rank, all its
// occurrences from left to right. A heap of (rank, position) and a linked list of the living symbols
// make it O(n log n), so that a megabyte without a blank costs a second and not a day.

/** What two adjacent symbols merge into, and how early: by `pairKey(left, right)`. */
export interface Merge {
  readonly rank: number;
  readonly product: number;
}

export type MergeTable = ReadonlyMap<number, Merge>;

/** Ids are below 2^24 (checked at load), so that a pair fits a number exactly. */
export const pairKey = (left: number, right: number): number => left * 0x1000000 + right;

/** Positions are below 2^30 and ranks below 2^22: an entry (rank, position) is one exact number. */
const entryBase = 0x40000000;

/** The ids of a piece after all merges; `symbols` (ids) is used up. */
export function mergeSymbols(symbols: Int32Array, merges: MergeTable): number[] {
  const n = symbols.length;
  const next = Int32Array.from({ length: n }, (_, i) => i + 1);
  const previous = Int32Array.from({ length: n }, (_, i) => i - 1);
  const heap = new MinHeap();
  const mergeAt = (i: number): Merge | undefined => {
    const right = next[i]!;
    return right < n ? merges.get(pairKey(symbols[i]!, symbols[right]!)) : undefined;
  };
  const push = (i: number): void => {
    const merge = i >= 0 ? mergeAt(i) : undefined;
    if (merge !== undefined) heap.push(merge.rank * entryBase + i);
  };
  for (let i = 0; i < n - 1; i++) push(i);

  while (heap.size > 0) {
    const rank = Math.floor(heap.top / entryBase);
    const round: number[] = []; // one rank, left to right: a pair that arises meanwhile waits
    while (heap.size > 0 && heap.top < (rank + 1) * entryBase)
      round.push(heap.pop() - rank * entryBase);
    for (const i of round) {
      if (symbols[i]! < 0) continue; // swallowed by its left neighbour
      const merge = mergeAt(i);
      if (merge?.rank !== rank) continue; // the pair has changed since it was queued
      const right = next[i]!;
      symbols[i] = merge.product;
      symbols[right] = -1;
      next[i] = next[right]!;
      const after = next[right]!;
      if (after < n) previous[after] = i;
      push(previous[i]!);
      push(i);
    }
  }

  const ids: number[] = [];
  for (let i = 0; i < n; i = next[i]!) ids.push(symbols[i]!);
  return ids;
}

/** A binary heap of numbers, the smallest on top. */
class MinHeap {
  readonly #items: number[] = [];

  get size(): number {
    return this.#items.length;
  }

  get top(): number {
    return this.#items[0]!;
  }

  push(item: number): void {
    const items = this.#items;
    let hole = items.length;
    items.push(item);
    while (hole > 0) {
      const parent = (hole - 1) >> 1;
      if (items[parent]! <= item) break;
      items[hole] = items[parent]!;
      hole = parent;
    }
    items[hole] = item;
  }

  pop(): number {
    const items = this.#items;
    const top = items[0]!;
    const item = items.pop()!;
    const n = items.length;
    if (n === 0) return top;
    let hole = 0;
    for (;;) {
      let child = 2 * hole + 1;
      if (child >= n) break;
      if (child + 1 < n && items[child + 1]! < items[child]!) child++;
      if (items[child]! >= item) break;
      items[hole] = items[child]!;
      hole = child;
    }
    items[hole] = item;
    return top;
  }
}
