/** Weights on their way to this rank: elements [first, first + count) of the flat buffer. */
export interface Arriving {
  readonly first: number;
  readonly count: number;
  /** What is enqueued from here on comes after them. */
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
    const isWanted = (one: Arriving) => one.first < first + count && first < one.first + one.count;
    const wanted = this.#list.filter(isWanted);
    if (wanted.length === 0) return;
    this.#list = this.#list.filter((one) => !isWanted(one));
    for (const one of wanted) one.wait();
  }

  /** Nothing will be read any more. */
  forget(): void {
    this.#list = [];
  }
}
