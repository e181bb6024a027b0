// The state of a run in parts: what belongs to ranges of the flat parameters lies with the rank that has
// the ranges. Any number of ranks reads what any other number wrote.
//
//   state.safetensors                   of one rank
//   state-00002-of-00004.safetensors    of several, each with the ranges that it holds in its metadata
//   state.json                          a value, once
import { existsSync, readdirSync } from "node:fs";
import path from "node:path";
import { bytesOf } from "../tensor/dtype.js";
import type { Tensor } from "../tensor/tensor.js";
import { fileDTypeOf } from "./file_dtype.js";
import { SafetensorsFile } from "./safetensors.js";
import { orderedRanges, rangesIn, rangesText, type StateRange } from "./state_ranges.js";
import { refuseAll } from "./store_set.js";
import type { TensorToWrite } from "./write.js";

/** A part of a state: rows of its tensors stand for elements of its ranges, or for blocks of them. */
export interface StatePart {
  /** Which part, counted from 0, and of how many. */
  readonly rank: number;
  readonly ranks: number;
  /** In order. Each but the last of all begins and ends at a multiple of `blockElements`. */
  readonly ranges: readonly StateRange[];
  /** Elements of all parts; what of a range lies beyond is filling, and not saved. */
  readonly length: number;
  /** One for all ranges, one after the other, or one for each. */
  readonly tensors: Readonly<Record<string, Tensor | readonly Tensor[]>>;
}

/** Elements that an 8-bit moment's scale stands for: ranges begin at multiples. */
export const blockElements = 256;

const rowsOf = (elements: number, each: number) => Math.ceil(elements / each);
const sum = (numbers: readonly number[]) => numbers.reduce((total, n) => total + n, 0);

/** Tensors of a part's ranges, and what their rows stand for. */
interface Rows {
  /** One of all ranges, or one of each. */
  readonly tensors: readonly Tensor[];
  /** Elements that a row stands for. */
  readonly each: number;
  /** Of a row. */
  readonly rest: readonly number[];
  readonly rowSize: number;
}

/** Undefined for a counter, which belongs to no range. */
function rowsIn(given: Tensor | readonly Tensor[], { ranges }: StatePart): Rows | undefined {
  const tensors: readonly Tensor[] = Array.isArray(given) ? given : [given as Tensor];
  const { dtype, shape } = tensors[0]!;
  if (dtype === "int32") return undefined;
  const elements = sum(ranges.map(({ count }) => count));
  const each = sum(tensors.map((t) => t.dim(0))) === elements ? 1 : blockElements;
  const rest = shape.slice(1);
  return { tensors, each, rest, rowSize: rest.reduce((product, n) => product * n, 1) };
}

/** Rows of elements [begin, end) of a part, with a view of each run of them. */
function* runsOf(
  { tensors, each, rest, rowSize }: Rows,
  { ranges }: StatePart,
  begin = 0,
  end = Infinity,
): Generator<{ first: number; count: number; view: Tensor }> {
  let at = 0;
  for (const [i, range] of ranges.entries()) {
    const first = Math.max(begin, range.first);
    const count = Math.min(end, range.first + range.count) - first;
    const base = tensors.length === 1 ? at : 0;
    at += range.count;
    if (count <= 0) continue;
    const row = (base + first - range.first) / each;
    const t = tensors.length === 1 ? tensors[0]! : tensors[i]!;
    yield { first, count, view: t.viewOf(row * rowSize, [rowsOf(count, each), ...rest]) };
  }
}

/** The ranges of a part as they are saved: without what lies beyond the length. */
function savedRanges({ ranges, length }: StatePart): StateRange[] {
  return ranges
    .map(({ first, count }) => ({ first, count: Math.min(first + count, length) - first }))
    .filter(({ count }) => count > 0);
}

/** The name of a part's file, without `.safetensors`. */
export function partName(name: string, { rank, ranks }: Pick<StatePart, "rank" | "ranks">): string {
  const digits = (n: number) => String(n).padStart(5, "0");
  return ranks === 1 ? name : `${name}-${digits(rank + 1)}-of-${digits(ranks)}`;
}

// Of a tensor on its way out.
const chunkBytes = 4 << 20;

/** What a part's file holds, and its metadata. What belongs to no range the first part has. */
export function partToWrite(part: StatePart): {
  tensors: TensorToWrite[];
  metadata: Record<string, string>;
} {
  const { rank, ranks, length } = part;
  const saved = savedRanges(part);
  const size = sum(saved.map(({ count }) => count));
  const tensors = Object.entries(part.tensors).flatMap(([name, given]): TensorToWrite[] => {
    const rows = rowsIn(given, part);
    if (rows === undefined) return rank === 0 ? [{ name, tensor: given as Tensor }] : [];
    if (size === 0) return [];
    const { each, rest, tensors: all } = rows;
    const { dtype } = all[0]!;
    const chunks = async function* () {
      const step = chunkBytes / bytesOf[dtype];
      for (const { view } of runsOf(rows, part, 0, length)) {
        for (let from = 0; from < view.size; from += step) {
          const chunk = view.viewOf(from, [Math.min(step, view.size - from)]);
          yield new Uint8Array(await chunk.readBytes());
          chunk.dispose();
        }
        view.dispose();
      }
    };
    return [{ name, chunks, dtype: fileDTypeOf(dtype), shape: [rowsOf(size, each), ...rest] }];
  });
  return { tensors, metadata: ranks === 1 ? {} : rangesText(saved, length) };
}

/** The files of a state with the ranges that they hold. */
function openParts(
  folder: string,
  name: string,
  length: number,
): [SafetensorsFile, StateRange[]][] {
  const alone = path.join(folder, `${name}.safetensors`);
  if (existsSync(alone)) return [[SafetensorsFile.open(alone), [{ first: 0, count: length }]]];
  const form = new RegExp(`^${name}-(\\d{5})-of-(\\d{5})\\.safetensors$`);
  const names = existsSync(folder) ? readdirSync(folder).filter((file) => form.test(file)) : [];
  const wanted = Number(form.exec(names[0] ?? "")?.[2] ?? 1);
  if (names.length !== wanted)
    refuseAll(folder, [`${name}: expected ${wanted} files of state, got ${names.length}`]);
  const parts: [SafetensorsFile, StateRange[]][] = [];
  try {
    for (const file of names.sort()) {
      const open = SafetensorsFile.open(path.join(folder, file));
      parts.push([open, []]);
      parts.at(-1)![1] = rangesIn(open, length);
    }
    refuseHoles(parts, length);
    return parts;
  } catch (error) {
    for (const [open] of parts) open.close();
    throw error;
  }
}

/** @throws SrpoError ERR_CHECKPOINT unless the files together have every element once */
function refuseHoles(parts: readonly [SafetensorsFile, StateRange[]][], length: number): void {
  const problem = orderedRanges(
    parts.flatMap(([file, ranges]) => ranges.map((range) => ({ ...range, origin: file.origin }))),
    length,
  );
  if (problem !== undefined) refuseAll(problem.origin, [problem.says]);
}

/**
 * Reads one's own part of a state into tensors of the same names, bit for bit, whoever wrote it.
 *
 * @throws SrpoError ERR_CHECKPOINT that names every missing, unexpected and other tensor; nothing was read
 *   then
 */
export async function readPart(folder: string, name: string, part: StatePart): Promise<void> {
  const files = openParts(folder, name, part.length);
  try {
    refuseOthers(files, part);
    for (const [key, given] of Object.entries(part.tensors)) {
      const rows = rowsIn(given, part);
      if (rows === undefined) {
        await files[0]![0].readInto(key, given as Tensor);
        continue;
      }
      for (const [file, ranges] of files) await readRanges(file, key, ranges, [rows, part]);
    }
  } finally {
    for (const [file] of files) file.close();
  }
}

/** Of one tensor, what a file has of a part. */
async function readRanges(
  file: SafetensorsFile,
  key: string,
  ranges: readonly StateRange[],
  [rows, part]: readonly [Rows, StatePart],
): Promise<void> {
  const { each } = rows;
  let at = 0; // elements of the file before the range
  for (const range of ranges) {
    const end = Math.min(range.first + range.count, part.length);
    for (const { first, count, view } of runsOf(rows, part, range.first, end)) {
      const fromRow = (at + first - range.first) / each;
      await file.readInto(key, view, { fromRow, rows: rowsOf(count, each) });
      view.dispose();
    }
    at += range.count;
  }
}

function refuseOthers(files: readonly [SafetensorsFile, StateRange[]][], part: StatePart): void {
  const text = (dtype: string, shape: readonly number[]) => `${dtype} [${shape.join(", ")}]`;
  for (const [i, [file, ranges]] of files.entries()) {
    const problems: string[] = [];
    const elements = sum(ranges.map(({ count }) => count));
    for (const [key, given] of Object.entries(part.tensors)) {
      const rows = rowsIn(given, part);
      if (rows === undefined ? i > 0 : elements === 0) continue;
      const { dtype, shape: whole } = Array.isArray(given) ? given[0]! : (given as Tensor);
      const shape = rows === undefined ? whole : [rowsOf(elements, rows.each), ...rows.rest];
      const expected = text(fileDTypeOf(dtype), shape);
      const info = file.has(key) ? file.info(key) : undefined;
      const got = info === undefined ? "none" : text(info.dtype, info.shape);
      if (got !== expected) problems.push(`${key}: expected ${expected}, got ${got}`);
    }
    for (const key of file.names())
      if (!Object.hasOwn(part.tensors, key))
        problems.push(`${key}: expected no such tensor, got one`);
    refuseAll(file.origin, problems);
  }
}
