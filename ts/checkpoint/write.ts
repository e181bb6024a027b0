import { noGrad } from "../autograd/tape.js";
import { SrpoError } from "../native/error.js";
import { cast } from "../ops/elementwise/cast.js";
import { bytesOf } from "../tensor/dtype.js";
import { release } from "../tensor/scope.js";
import type { Tensor } from "../tensor/tensor.js";
import { replaceFile, type ByteSink, type WrittenFile } from "./durable.js";
import { fileDTypeBytes, fileDTypeOf, type FileDType } from "./file_dtype.js";

/** A tensor to write: from a device, or its bytes as they shall stand in the file, at once or as they come. */
export type TensorToWrite =
  | {
      readonly name: string;
      readonly tensor: Tensor;
      /** Default the tensor's own; F32 and BF16 are converted into each other. */
      readonly dtype?: FileDType;
      /** Default the tensor's own; as many elements. */
      readonly shape?: readonly number[];
    }
  | {
      readonly name: string;
      readonly read: () => Promise<Uint8Array> | Uint8Array;
      readonly dtype: FileDType;
      readonly shape: readonly number[];
    }
  | {
      readonly name: string;
      readonly chunks: () => AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
      readonly dtype: FileDType;
      readonly shape: readonly number[];
    };

// Of a device tensor on its way out, so that no file and no large tensor stands in memory whole.
const chunkBytes = 4 << 20;
const alignment = 64;
const loneSurrogate = /\p{Surrogate}/u;

interface Planned {
  readonly source: TensorToWrite;
  readonly name: string;
  readonly dtype: FileDType;
  readonly shape: readonly number[];
  readonly bytes: number;
}

function refuse(name: string, expected: string, got: string): never {
  throw new SrpoError("ERR_CHECKPOINT", `write: ${name}: expected ${expected}, got ${got}`);
}

function planned(source: TensorToWrite): Planned {
  const { name } = source;
  if ("tensor" in source) {
    const { tensor } = source;
    const own = fileDTypeOf(tensor.dtype);
    const { dtype = own, shape = tensor.shape } = source;
    const floats = (d: FileDType) => d === "F32" || d === "BF16";
    if (dtype !== own && !(floats(dtype) && floats(own))) refuse(name, own, dtype);
    const size = shape.reduce((product, n) => product * n, 1);
    if (size !== tensor.size) refuse(name, `${tensor.size} elements`, `[${shape.join(", ")}]`);
    return { source, name, dtype, shape, bytes: size * fileDTypeBytes[dtype] };
  }
  const { dtype, shape } = source;
  if (!shape.every((n) => Number.isSafeInteger(n) && n >= 0))
    refuse(name, "a shape of whole numbers", `[${shape.join(", ")}]`);
  return { source, name, dtype, shape, bytes: bytesOfEntry(dtype, shape) };
}

function bytesOfEntry(dtype: FileDType, shape: readonly number[]): number {
  return shape.reduce((product, n) => product * n, fileDTypeBytes[dtype]);
}

/** The bytes that a tensor will take in a file. */
export function bytesToWrite(source: TensorToWrite): number {
  return planned(source).bytes;
}

/** A device tensor's bytes in pieces, converted. */
async function* piecesOf(tensor: Tensor, dtype: FileDType): AsyncGenerator<Uint8Array> {
  const size = tensor.size;
  const step = chunkBytes / bytesOf[tensor.dtype];
  for (let first = 0; first < size; first += step) {
    const part = release(tensor.viewOf(first, [Math.min(step, size - first)]));
    let converted = part;
    try {
      if (dtype !== fileDTypeOf(tensor.dtype))
        converted = release(noGrad(() => cast(part, dtype === "BF16" ? "bfloat16" : "float32")));
      yield new Uint8Array(await converted.readBytes());
    } finally {
      converted.dispose();
      part.dispose();
    }
  }
}

/** The bytes of an entry in order, as many as it said. */
async function* bytesInOrder({ source, name, dtype, bytes }: Planned): AsyncGenerator<Uint8Array> {
  if ("tensor" in source) {
    yield* piecesOf(source.tensor, dtype);
    return;
  }
  const chunks = "chunks" in source ? source.chunks() : [await source.read()];
  let written = 0;
  for await (const chunk of chunks) {
    written += chunk.byteLength;
    if (written > bytes) refuse(name, `${bytes} bytes`, "more");
    yield chunk;
  }
  if (written < bytes) refuse(name, `${bytes} bytes`, String(written));
}

/**
 * The same entries with their bytes in the host's memory, as they shall stand in the file: what the tensors
 * hold may change from now on. Each can be written once; its memory goes as it is written.
 */
export async function heldOnHost(tensors: readonly TensorToWrite[]): Promise<TensorToWrite[]> {
  const held: TensorToWrite[] = [];
  for (const one of tensors.map(planned)) {
    const chunks: Uint8Array[] = [];
    for await (const chunk of bytesInOrder(one)) chunks.push(chunk);
    const { name, dtype, shape } = one;
    held.push({
      name,
      dtype,
      shape,
      *chunks() {
        for (let chunk; (chunk = chunks.shift()) !== undefined;) yield chunk;
      },
    });
  }
  return held;
}

function headerOf(tensors: readonly Planned[], metadata: Readonly<Record<string, string>>): Buffer {
  const fields: string[] = [];
  if (Object.keys(metadata).length > 0) fields.push(`"__metadata__":${JSON.stringify(metadata)}`);
  let begin = 0;
  for (const { name, dtype, shape, bytes } of tensors) {
    const offsets = [begin, (begin += bytes)];
    const value = JSON.stringify({ dtype, shape, data_offsets: offsets });
    fields.push(`${JSON.stringify(name)}:${value}`);
  }
  const json = Buffer.from(`{${fields.join(",")}}`, "utf8");
  const length = Math.ceil((8 + json.length) / alignment) * alignment - 8;
  const header = Buffer.alloc(8 + length, " ");
  header.writeBigUInt64LE(BigInt(length), 0);
  json.copy(header, 8);
  return header;
}

/** Writes a file's header and data to a sink, tensor by tensor, large ones in pieces. */
export async function streamSafetensors(
  sink: ByteSink,
  tensors: readonly TensorToWrite[],
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  const names = new Set<string>();
  for (const { name } of tensors) {
    if (name === "__metadata__" || names.has(name)) refuse(name, "each name once", "it twice");
    names.add(name);
  }
  for (const text of [...names, ...Object.entries(metadata).flat()])
    if (loneSurrogate.test(text)) refuse("header", "whole characters", JSON.stringify(text));
  // Wide elements first: then each tensor lies at a multiple of its element.
  const order = tensors
    .map(planned)
    .sort((a, b) => fileDTypeBytes[b.dtype] - fileDTypeBytes[a.dtype]);
  await sink.write(headerOf(order, metadata));
  for (const tensor of order)
    for await (const chunk of bytesInOrder(tensor)) await sink.write(chunk);
}

/**
 * Writes a safetensors file beside its place, flushes it and renames it: the path holds the old file or
 * the new, never a part. Data starts at a multiple of 64 bytes.
 *
 * @throws SrpoError ERR_CHECKPOINT, a full disk or an unwritable place named in one line
 */
export function writeSafetensors(
  file: string,
  tensors: readonly TensorToWrite[],
  metadata: Readonly<Record<string, string>> = {},
): Promise<WrittenFile> {
  return replaceFile(file, (sink) => streamSafetensors(sink, tensors, metadata));
}
