/** Weights on their way to this rank: elements [first, first + count) of the flat buffer. */
export interface Arriving {
  readonly first: number;
  readonly count: number;
  /** What is enqueued from here on comes after them. @throws SrpoError if they are not on their way yet */
  wait(): void;
}

/** What of a flat buffer is still on its way, and is waited for by whoever reads it first. */
export class Arrivals {
  #list: Arriving[] = [];

  expect(arriving: Arriving): void {
    this.#list.push(arriving);
  }

  /** Waits for those with an element in [first, first + count). */
  wait(first: number, count: number): void {
    if (this.#list.length === 0) return;
    this.#list = this.#list.filter((one) => {
      const isWanted = one.first < first + count && first < one.first + one.count;
      if (isWanted) one.wait();
      return !isWanted;
    });
  }

  /** Waits for all. */
  waitForAll(): void {
    this.wait(0, Infinity);
  }

  /** None of them will be read, or all have come otherwise. */
  forget(): void {
    this.#list = [];
  }
}
