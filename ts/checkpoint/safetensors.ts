import path from "node:path";
import { native, type FileHandle } from "../native/binding.js";
import { SrpoError } from "../native/error.js";
import { synchronize } from "../tensor/device.js";
import { empty, type Tensor, type TensorOptions } from "../tensor/tensor.js";
import { fileDTypeBytes, tensorDTypeOf, type FileDType } from "./file_dtype.js";

/** What a file says of one of its tensors. */
export interface TensorInfo {
  readonly name: string;
  readonly dtype: FileDType;
  readonly shape: readonly number[];
  /** Of its data on disk. */
  readonly bytes: number;
}

/** Which part of a tensor to read, and how to lay it down. */
export interface ReadPart {
  /** First row (index of the first dimension). Default 0. */
  fromRow?: number;
  /** Number of rows. Default: as many as the destination holds. */
  rows?: number;
  /**
   * [r, c]: each run of r * c elements is a matrix [r, c] on disk and [c, r] in memory. A
   * convolution's weight [out, in, kh, kw] becomes [out, kh, kw, in] with [in, kh * kw].
   */
  transposed?: readonly [rows: number, columns: number];
}

/** Named tensors on disk: one file, the shards of an index, a set of files. */
export interface TensorStore extends Disposable {
  /** The path, for messages. */
  readonly origin: string;
  readonly metadata: ReadonlyMap<string, string>;
  names(): Iterable<string>;
  has(name: string): boolean;
  /** @throws SrpoError ERR_CHECKPOINT for a name that is not there */
  info(name: string): TensorInfo;
  shape(name: string): readonly number[];
  /**
   * A new tensor with the values, which the device's stream reads: what goes wrong there surfaces at
   * the next wait (`synchronize`).
   *
   * @param options.dtype - default: what holds the file's dtype (F16 as float32, I64 as int32)
   */
  read(name: string, options?: TensorOptions): Tensor;
  /**
   * Reads into a tensor, or the view of a part of one, as many elements as it has, converted to its
   * dtype. Resolves when the values are there.
   */
  readInto(name: string, destination: Tensor, part?: ReadPart): Promise<void>;
  /** Reads that were enqueued still run. */
  close(): void;
}

/**
 * One safetensors file, its header read and checked, its data read in chunks when asked for: no mapping,
 * no copy of the file in memory.
 */
export class SafetensorsFile implements TensorStore {
  readonly origin: string;
  readonly metadata: ReadonlyMap<string, string>;
  readonly #file: FileHandle;
  readonly #tensors = new Map<string, TensorInfo & { readonly index: number }>();

  private constructor(file: string) {
    const opened = native.safetensorsOpen(file);
    this.origin = file;
    this.#file = opened.file;
    this.metadata = new Map(opened.metadata);
    opened.tensors.forEach((tensor, index) => {
      const dtype = tensor.dtype as FileDType;
      this.#tensors.set(tensor.name, { ...tensor, dtype, index });
    });
  }

  /**
   * Opens a file and checks its whole header: strict JSON and UTF-8, no key twice, known dtypes, shapes
   * that agree with their bytes, data without holes, overlap or bytes left over.
   *
   * @throws SrpoError ERR_CHECKPOINT, `<file>: <tensor or header>: expected ..., got ...`
   */
  static open(file: string): SafetensorsFile {
    return new SafetensorsFile(path.resolve(file));
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
    this.#enqueue(entry, values, {});
    return values;
  }

  async readInto(name: string, destination: Tensor, part: ReadPart = {}): Promise<void> {
    this.#enqueue(this.#entry(name), destination, part);
    await synchronize(destination.device);
  }

  close(): void {
    native.safetensorsClose(this.#file);
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

  #enqueue(
    { name, index, dtype, shape, bytes }: TensorInfo & { index: number },
    to: Tensor,
    { fromRow = 0, rows, transposed: [channels, taps] = [0, 0] }: ReadPart,
  ): void {
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
    native.safetensorsReadInto(this.#file, index, fromRow * rowElements, to.handle, channels, taps);
  }
}
