import { native, type FileHandle } from "../native/binding.js";
import { SrpoError } from "../native/error.js";
import { synchronize } from "../tensor/device.js";
import { empty, type Tensor, type TensorOptions } from "../tensor/tensor.js";
import { fileDTypeBytes, tensorDTypeOf } from "./file_dtype.js";
import type { ReadPart, TensorInfo, TensorStore } from "./tensor_store.js";

/** The tensors of one open file, in the order in which the addon knows them. */
export class FileStore implements TensorStore {
  readonly origin: string;
  readonly metadata: ReadonlyMap<string, string>;
  readonly #file: FileHandle;
  readonly #tensors = new Map<string, TensorInfo & { readonly index: number }>();

  constructor(
    origin: string,
    file: FileHandle,
    tensors: readonly TensorInfo[],
    metadata: ReadonlyMap<string, string> = new Map(),
  ) {
    this.origin = origin;
    this.#file = file;
    this.metadata = metadata;
    tensors.forEach((tensor, index) => this.#tensors.set(tensor.name, { ...tensor, index }));
  }

  names(): IterableIterator<string> {
    return this.#tensors.keys();
  }

  has(name: string): boolean {
    return this.#tensors.has(name);
  }

  info(name: string): TensorInfo {
    return this.#entry(name);
  }

  shape(name: string): readonly number[] {
    return this.#entry(name).shape;
  }

  read(name: string, { dtype, device = "cpu" }: TensorOptions = {}): Tensor {
    const entry = this.#entry(name);
    const values = empty(entry.shape, { dtype: dtype ?? tensorDTypeOf(entry.dtype), device });
    this.enqueue(name, values);
    return values;
  }

  async readInto(name: string, destination: Tensor, part: ReadPart = {}): Promise<void> {
    this.enqueue(name, destination, part);
    await synchronize(destination.device);
  }

  scalar(name: string): number {
    return native.tensorFileScalar(this.#file, this.#entry(name).index);
  }

  close(): void {
    native.tensorFileClose(this.#file);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #entry(name: string) {
    const entry = this.#tensors.get(name);
    if (entry === undefined)
      throw new SrpoError(
        "ERR_CHECKPOINT",
        `${this.origin}: ${name}: expected a tensor of this name, got none`,
      );
    return entry;
  }

  enqueue(
    name: string,
    to: Tensor,
    { fromRow = 0, rows, transposed: [channels, taps] = [0, 0], scale = 1 }: ReadPart = {},
  ): void {
    const { index, dtype, shape, bytes } = this.#entry(name);
    const all = shape[0] ?? 1;
    const rowElements = all === 0 ? 0 : bytes / fileDTypeBytes[dtype] / all;
    const wanted = rows === undefined ? undefined : rows * rowElements;
    if (fromRow < 0 || (rows !== undefined && (rows < 0 || fromRow + rows > all)))
      throw new SrpoError(
        "ERR_SHAPE",
        `${this.origin}: ${name}: expected rows within ${all}, got ${rows ?? "all"} from ${fromRow}`,
      );
    if (wanted !== undefined ? to.size !== wanted : to.size % Math.max(rowElements, 1) !== 0)
      throw new SrpoError(
        "ERR_SHAPE",
        `${this.origin}: ${name}: expected a destination of ${wanted ?? `n * ${rowElements}`} ` +
          `elements, got [${to.shape.join(", ")}]`,
      );
    const first = fromRow * rowElements;
    native.tensorFileReadInto(this.#file, index, first, to.handle, channels, taps, scale);
  }
}
