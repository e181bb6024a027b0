import type { Handle } from "../handle.js";

declare const fileBrand: unique symbol;
/** An open file of tensors as the addon knows it. */
export interface FileHandle {
  readonly [fileBrand]: true;
}

/** Where a tensor's elements lie in a file. */
export interface StoredTensor {
  readonly name: string;
  /** As safetensors names it. */
  readonly dtype: string;
  /** Of the first element, in bytes from the start of the file. */
  readonly offset: number;
  readonly elements: number;
  /** With `strides` (in elements) where they do not lie in the tensor's order; else both are empty. */
  readonly sizes: readonly number[];
  readonly strides: readonly number[];
}

/** What cpp/binding/io.cpp registers. */
export interface IoRows {
  /** Opens a file and checks its header; the tensors come in the order of their data. */
  safetensorsOpen(path: string): {
    file: FileHandle;
    metadata: [key: string, value: string][];
    tensors: { name: string; dtype: string; shape: number[]; bytes: number }[];
  };
  /** Opens a file whose tensors were found elsewhere; places that are not within it are refused. */
  tensorFileOpen(path: string, tensors: readonly StoredTensor[]): FileHandle;
  tensorFileReadInto(
    file: FileHandle,
    index: number,
    first: number,
    tensor: Handle,
    channels: number,
    taps: number,
    scale: number,
  ): void;
  /** The value of a tensor of one float element, read at once. */
  tensorFileScalar(file: FileHandle, index: number): number;
  tensorFileClose(file: FileHandle): void;
  /** Float32 bytes as F8_E4M3 and the scale that takes their largest to 448. */
  float8Encode(name: string, floats: Uint8Array): { bytes: Uint8Array<ArrayBuffer>; scale: number };
}
