import type { Tensor, TensorOptions } from "../tensor/tensor.js";
import type { FileDType } from "./file_dtype.js";

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
  /** What floats are multiplied by before they are rounded to the destination's dtype. Default 1. */
  scale?: number;
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
  /** Enqueues what `readInto` waits for. */
  enqueue(name: string, destination: Tensor, part?: ReadPart): void;
  /**
   * Reads into a tensor, or the view of a part of one, as many elements as it has, converted to its
   * dtype. Resolves when the values are there.
   */
  readInto(name: string, destination: Tensor, part?: ReadPart): Promise<void>;
  /** The value of a tensor of one float element, at once. */
  scalar(name: string): number;
  /** Reads that were enqueued still run. */
  close(): void;
}
