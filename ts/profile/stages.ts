import type { RangePath, RangeRecorder } from "../native/ranges.js";

/** A stage as it was entered: the pieces of work that it enqueued, and when this thread was in it. */
export interface Stage {
  name: string;
  depth: number;
  /** Pieces of the device's work: from the first on, before `to`. */
  from: number;
  to: number;
  /** Milliseconds of performance.now(). */
  entered: number;
  left: number;
}

interface Watch {
  /** Pieces enqueued so far. */
  pieces(): number;
  pushed?(name: string): void;
  popped?(): void;
}

/**
 * The stages of a profile as a tree, in the order in which they were entered. Stages of a backward are
 * opened when its first op comes and left open until an op of another stage does, so that a block is one
 * stage there too.
 */
export class Stages implements RangeRecorder {
  readonly all: Stage[] = [];
  #open: Stage[] = [];
  /** From here on the open stages are those of a backward's last op; -1: none are. */
  #kept = -1;

  constructor(readonly watch: Watch) {}

  begin(name: string): void {
    this.#closeKept();
    this.#enter(name);
  }

  end(): void {
    this.#closeKept();
    this.#leave();
  }

  path(): RangePath {
    return this.#open.map(({ name }) => name);
  }

  within<T>(path: RangePath, fn: () => T): T {
    const base = this.#kept < 0 ? this.#open.length : this.#kept;
    let common = 0;
    while (common < base && this.#open[common]!.name === path[common]) ++common;
    const rest = path.slice(common);
    let same = 0;
    while (base + same < this.#open.length && this.#open[base + same]!.name === rest[same]) ++same;
    while (this.#open.length > base + same) this.#leave();
    for (const name of rest.slice(same)) this.#enter(name);
    this.#kept = -1; // within `fn` they are stages like any other
    try {
      return fn();
    } finally {
      this.#closeKept();
      this.#kept = base;
    }
  }

  /** Leaves what is still open. */
  close(): void {
    this.#kept = -1;
    while (this.#open.length > 0) this.#leave();
  }

  #closeKept(): void {
    if (this.#kept >= 0) while (this.#open.length > this.#kept) this.#leave();
    this.#kept = -1;
  }

  #enter(name: string): void {
    const from = this.watch.pieces();
    const now = performance.now();
    const stage = { name, depth: this.#open.length, from, to: from, entered: now, left: now };
    this.all.push(stage);
    this.#open.push(stage);
    this.watch.pushed?.(name);
  }

  #leave(): void {
    const stage = this.#open.pop();
    if (stage === undefined) return;
    stage.to = this.watch.pieces();
    stage.left = performance.now();
    this.watch.popped?.();
  }
}
