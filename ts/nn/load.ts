import { shownText } from "../checkpoint/file_bytes.js";
import { SrpoError } from "../native/error.js";
import { bytesOf } from "../tensor/dtype.js";
import { splitMaster } from "../ops/update/master.js";
import { release, tensorScope } from "../tensor/scope.js";
import { empty, type Tensor } from "../tensor/tensor.js";
import type { CodedMatrices } from "./coded_matrices.js";
import { toDisk } from "./layout.js";
import type { DiskTensor, NamesMap } from "./names_map.js";
import type { ParameterSet } from "./parameter_set.js";
import { sizeOf } from "./parameter.js";

/** Which part of a tensor to read, and how to lay it down; see ts/checkpoint's `ReadPart`. */
export interface PartToRead {
  fromRow?: number;
  rows?: number;
  /** [r, c]: each run of r * c elements is a matrix [r, c] on disk and [c, r] in memory. */
  transposed?: readonly [rows: number, columns: number];
}

/** Named tensors to load from: a checkpoint folder, one file, a part of a fixture. */
export interface TensorSource {
  /** What messages call it: a path. */
  readonly origin: string;
  names(): Iterable<string>;
  shape(name: string): readonly number[];
  /** Writes (a part of) a tensor's values to `destination`, converted to its dtype. */
  readInto(name: string, destination: Tensor, how?: PartToRead): Promise<void>;
}

/** The tensors of a source whose names begin with a prefix, without it. */
export function under(prefix: string, source: TensorSource): TensorSource {
  return {
    origin: source.origin,
    names: () =>
      [...source.names()]
        .filter((name) => name.startsWith(prefix))
        .map((name) => name.slice(prefix.length)),
    shape: (name) => source.shape(prefix + name),
    readInto: (name, destination, how) => source.readInto(prefix + name, destination, how),
  };
}

const shapeText = (shape: readonly number[]) => `[${shape.join(", ")}]`;

const mostListed = 40;

/** Names for a message: the first of many, each in one line. */
function listed(names: readonly string[]): string {
  const shown = names.slice(0, mostListed).map((name) => shownText(name, 200));
  const rest = names.length - mostListed;
  return shown.join(", ") + (rest > 0 ? ` and ${rest} more` : "");
}

/**
 * What keeps a source from filling a model: missing, misshapen and unexpected tensors, all of them.
 * Empty if nothing does.
 */
export function problemsOf(map: NamesMap, source: TensorSource): string[] {
  const there = new Set(source.names());
  const missing: string[] = [];
  const misshapen: string[] = [];
  for (const { disk, shape } of map.tensors) {
    if (!there.delete(disk)) {
      missing.push(disk);
      continue;
    }
    const found = source.shape(disk);
    if (shapeText(found) !== shapeText(shape))
      misshapen.push(`${disk}: expected ${shapeText(shape)}, got ${shapeText(found)}`);
  }
  const unexpected = [...there].filter((name) => !map.ignores(name));
  return [
    ...(missing.length > 0 ? [`missing: ${listed(missing)}`] : []),
    ...(misshapen.length > 0 ? [`of another shape: ${listed(misshapen)}`] : []),
    ...(unexpected.length > 0 ? [`unexpected: ${listed(unexpected)}`] : []),
  ];
}

function refuseProblems(map: NamesMap, source: TensorSource): void {
  const problems = problemsOf(map, source);
  if (problems.length > 0)
    throw new SrpoError("ERR_CHECKPOINT", `load: ${source.origin}: ${problems.join("; ")}`);
}

/** How far a load is: called after each tensor with the bytes that the weights have so far, of all. */
export type LoadProgress = (done: number, total: number) => void;

/**
 * Fills a model's parameters from a source, tensor by tensor: beside the weights' own memory a load takes a few
 * megabytes.
 *
 * @throws SrpoError ERR_CHECKPOINT that names every missing, misshapen and unexpected tensor at once;
 *   nothing has been loaded then
 */
export async function loadParameters(
  set: ParameterSet,
  map: NamesMap,
  source: TensorSource,
  onProgress?: LoadProgress,
): Promise<void> {
  refuseProblems(map, source);
  const total = set.count * bytesOf[set.dtype];
  let done = 0;
  for (const tensor of map.tensors) {
    if (set.coded?.has(tensor.name) === true) {
      await loadCoded(set.coded, tensor, source);
      done += sizeOf(tensor.shape) * bytesOf[set.dtype];
      onProgress?.(done, total);
      continue;
    }
    const start = set.range(tensor.name).offset + tensor.offset;
    for (const { from, size, ...how } of partsOf(tensor)) {
      const destination = release(set.weights.viewOf(start + from, [size]));
      try {
        await source.readInto(tensor.disk, destination, how);
      } finally {
        destination.dispose();
      }
    }
    done += sizeOf(tensor.shape) * bytesOf[set.dtype];
    onProgress?.(done, total);
  }
}

/** Elements [first, first + count) of flat parameters, in the memory of their bfloat16 weights. */
export interface MasterRange {
  readonly first: number;
  readonly count: number;
}

/** Rows of a matrix that is held in 8 bits, by way of float32: rounded once. */
async function loadCoded(
  coded: CodedMatrices,
  tensor: DiskTensor,
  source: TensorSource,
): Promise<void> {
  const columns = coded.columns(tensor.name);
  for (const { from, size, ...how } of partsOf(tensor)) {
    const values = release(empty([size / columns, columns], { device: coded.device }));
    try {
      await source.readInto(tensor.disk, values, how);
      coded.setRows(tensor.name, (tensor.offset + from) / columns, values);
    } finally {
      values.dispose();
    }
  }
}

/**
 * Fills bfloat16 parameters and the 16 bits beside each that make the source's float32 values whole: what
 * is trained starts from the file's numbers, not from their roundings.
 *
 * @param remainder - [n, 2], uint8: the optimizer's, of the ranges, one after the other
 * @param ranges - that are filled, in order; default all
 * @throws SrpoError as `loadParameters`
 */
export async function loadMasters(
  set: ParameterSet,
  remainder: Tensor,
  map: NamesMap,
  source: TensorSource,
  ranges: readonly MasterRange[] = [{ first: 0, count: set.weights.size }],
): Promise<void> {
  refuseProblems(map, source);
  const { device, weights } = set;
  let at = 0;
  const placed = ranges.map(({ first, count }) => {
    at += count;
    return { first, end: first + count, at: at - count };
  });
  for (const tensor of map.tensors) {
    const start = set.range(tensor.name).offset + tensor.offset;
    for (const { from, size, ...how } of partsOf(tensor)) {
      const [read, end] = [start + from, start + from + size];
      const wanted = placed.filter((range) => range.first < end && read < range.end);
      if (wanted.length === 0) continue;
      using scope = tensorScope();
      void scope;
      const master = empty([size], { dtype: "float32", device });
      await source.readInto(tensor.disk, master, how);
      for (const range of wanted) {
        const begin = Math.max(read, range.first);
        const length = Math.min(end, range.end) - begin;
        splitMaster(
          master.viewOf(begin - read, [length]),
          weights.viewOf(begin, [length]),
          remainder.viewOf(2 * (range.at + begin - range.first), [length, 2]),
        );
      }
    }
  }
}

/** The reads that lay a tensor down in our order, each with where its elements begin in ours. */
function partsOf({ shape, layout }: DiskTensor): (PartToRead & { from: number; size: number })[] {
  const size = sizeOf(shape);
  const [a = 1, b = 1, c = 1, d = 1] = shape;
  switch (layout) {
    case "same":
      return [{ from: 0, size }];
    case "transposed":
      return [{ from: 0, size, transposed: [a, b] }];
    case "convolution":
      return [{ from: 0, size, transposed: [b, c * d] }];
    case "swappedHalves":
      return [
        { from: 0, size: size / 2, fromRow: a / 2, rows: a / 2 },
        { from: size / 2, size: size / 2, fromRow: 0, rows: a / 2 },
      ];
  }
}

/**
 * One tensor as it stands on disk, out of a flat buffer that was read back: weights to save, gradients to
 * compare under their real names.
 *
 * @param bytes - the whole flat buffer
 * @param elementBytes - 2 for bfloat16 weights, 4 for float32 and for gradients
 */
export function diskBytes(
  set: ParameterSet,
  { name, offset, shape, layout }: DiskTensor,
  bytes: Uint8Array,
  elementBytes: number = bytesOf[set.dtype],
): Uint8Array {
  const start = (set.range(name).offset + offset) * elementBytes;
  const part = bytes.subarray(start, start + sizeOf(shape) * elementBytes);
  return toDisk(part, elementBytes, shape, layout);
}
