import { shownText } from "./file_bytes.js";
import { SrpoError } from "../native/error.js";
import type { Tensor, TensorOptions } from "../tensor/tensor.js";
import type { ReadPart, TensorInfo, TensorStore } from "./tensor_store.js";

const mostProblems = 20;

/** Everything that is wrong with a checkpoint in one error of one line; nothing if the list is empty. */
export function refuseAll(origin: string, problems: readonly string[]): void {
  if (problems.length === 0) return;
  const named = problems
    .slice(0, mostProblems)
    .map((problem) => shownText(problem, 1000))
    .join("; ");
  const rest = problems.length - mostProblems;
  throw new SrpoError(
    "ERR_CHECKPOINT",
    `${origin}: ${named}${rest > 0 ? `; and ${rest} more problems` : ""}`,
  );
}

/** Several files as one space of names. */
export class StoreSet implements TensorStore {
  readonly origin: string;
  readonly metadata: ReadonlyMap<string, string>;
  readonly #files: readonly TensorStore[];
  readonly #homes: ReadonlyMap<string, TensorStore>;

  /** @param homes - the file of each name */
  constructor(
    origin: string,
    files: readonly TensorStore[],
    homes: ReadonlyMap<string, TensorStore>,
  ) {
    this.origin = origin;
    this.metadata = files[0]?.metadata ?? new Map();
    this.#files = files;
    this.#homes = homes;
  }

  /** The files' paths. */
  get files(): readonly string[] {
    return this.#files.map((file) => file.origin);
  }

  names(): IterableIterator<string> {
    return this.#homes.keys();
  }
  has(name: string): boolean {
    return this.#homes.has(name);
  }
  info(name: string): TensorInfo {
    return this.#home(name).info(name);
  }
  shape(name: string): readonly number[] {
    return this.#home(name).shape(name);
  }
  read(name: string, options?: TensorOptions): Tensor {
    return this.#home(name).read(name, options);
  }
  enqueue(name: string, destination: Tensor, part?: ReadPart): void {
    this.#home(name).enqueue(name, destination, part);
  }
  async readInto(name: string, destination: Tensor, part?: ReadPart): Promise<void> {
    await this.#home(name).readInto(name, destination, part);
  }
  scalar(name: string): number {
    return this.#home(name).scalar(name);
  }
  close(): void {
    for (const file of this.#files) file.close();
  }
  [Symbol.dispose](): void {
    this.close();
  }

  #home(name: string): TensorStore {
    const home = this.#homes.get(name);
    if (home === undefined)
      throw new SrpoError(
        "ERR_CHECKPOINT",
        `${this.origin}: ${name}: expected a tensor of this name, got none`,
      );
    return home;
  }
}
