// The state of a run in parts: what belongs to a range of the flat parameters lies with the rank that has
// the range. Any number of ranks reads what any other number wrote.
//
//   state.safetensors                   of one rank
//   state-00002-of-00004.safetensors    of several, each with the range that it holds in its metadata
//   state.json                          a value, once
import { existsSync, readdirSync } from "node:fs";
import path from "node:path";
import type { Tensor } from "../tensor/tensor.js";
import { fileDTypeOf } from "./file_dtype.js";
import { SafetensorsFile } from "./safetensors.js";
import { refuseAll } from "./store_set.js";
import type { TensorToWrite } from "./write.js";

/** Elements [first, first + count) of `length`; what lies beyond the length is filling, and not saved. */
export interface StateRange {
  readonly first: number;
  readonly count: number;
  readonly length: number;
}

/** A part of a state: rows of its tensors stand for elements of the range, or for blocks of them. */
export interface StatePart extends StateRange {
  /** Which part, counted from 0, and of how many. */
  readonly rank: number;
  readonly ranks: number;
  readonly tensors: Readonly<Record<string, Tensor>>;
}

/** Elements that an 8-bit moment's scale stands for: ranges begin at multiples. */
export const blockElements = 256;

/** Elements that a row of a tensor of the range stands for; undefined for a counter, which belongs to none. */
function elementsARow({ shape: [rows], dtype }: Tensor, { count }: StateRange): number | undefined {
  if (dtype === "int32") return undefined;
  return rows === count ? 1 : blockElements;
}

const endOf = ({ first, count, length }: StateRange) => Math.min(first + count, length);
const rowsOf = (elements: number, each: number) => Math.ceil(elements / each);

/** The name of a part's file, without `.safetensors`. */
export function partName(name: string, { rank, ranks }: Pick<StatePart, "rank" | "ranks">): string {
  const digits = (n: number) => String(n).padStart(5, "0");
  return ranks === 1 ? name : `${name}-${digits(rank + 1)}-of-${digits(ranks)}`;
}

/** What a part's file holds, and its metadata. What belongs to no range the first part has. */
export function partToWrite(part: StatePart): {
  tensors: TensorToWrite[];
  metadata: Record<string, string>;
} {
  const { first, rank, ranks, length } = part;
  const size = Math.max(endOf(part) - first, 0);
  const tensors = Object.entries(part.tensors).flatMap(([name, tensor]): TensorToWrite[] => {
    const each = elementsARow(tensor, part);
    if (each === undefined) return rank === 0 ? [{ name, tensor }] : [];
    const shape = [rowsOf(size, each), ...tensor.shape.slice(1)];
    return size === 0 ? [] : [{ name, tensor: tensor.viewOf(0, shape) }];
  });
  const metadata = { first: String(first), count: String(size), length: String(length) };
  return { tensors, metadata: ranks === 1 ? {} : metadata };
}

/** The files of a state with the ranges that they hold, in order. */
function openParts(folder: string, name: string, length: number): [SafetensorsFile, StateRange][] {
  const alone = path.join(folder, `${name}.safetensors`);
  if (existsSync(alone))
    return [[SafetensorsFile.open(alone), { first: 0, count: length, length }]];
  const form = new RegExp(`^${name}-(\\d{5})-of-(\\d{5})\\.safetensors$`);
  const names = existsSync(folder) ? readdirSync(folder).filter((file) => form.test(file)) : [];
  const wanted = Number(form.exec(names[0] ?? "")?.[2] ?? 1);
  if (names.length !== wanted)
    refuseAll(folder, [`${name}: expected ${wanted} files of state, got ${names.length}`]);
  const parts = names.sort().map((file): [SafetensorsFile, StateRange] => {
    const open = SafetensorsFile.open(path.join(folder, file));
    const number = (key: string) => Number(open.metadata.get(key) ?? Number.NaN);
    return [open, { first: number("first"), count: number("count"), length: number("length") }];
  });
  let at = 0;
  for (const [file, range] of parts) {
    const held = range.count === 0 || range.first === at;
    if (!held || range.length !== length) {
      for (const [open] of parts) open.close();
      refuseAll(file.origin, [
        `range: expected elements from ${at} of ${length}, got ${range.count} from ${range.first} of ${range.length}`,
      ]);
    }
    at += range.count;
  }
  return parts;
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
    for (const [key, tensor] of Object.entries(part.tensors)) {
      const each = elementsARow(tensor, part);
      if (each === undefined) {
        await files[0]![0].readInto(key, tensor);
        continue;
      }
      const rest = tensor.shape.slice(1);
      const rowSize = rest.reduce((product, n) => product * n, 1);
      for (const [file, range] of files) {
        const begin = Math.max(part.first, range.first);
        const end = Math.min(endOf(part), range.first + range.count);
        if (begin >= end) continue;
        const rows = rowsOf(end - begin, each);
        const to = tensor.viewOf(((begin - part.first) / each) * rowSize, [rows, ...rest]);
        await file.readInto(key, to, { fromRow: (begin - range.first) / each, rows });
        to.dispose();
      }
    }
  } finally {
    for (const [file] of files) file.close();
  }
}

function refuseOthers(files: readonly [SafetensorsFile, StateRange][], part: StatePart): void {
  const text = (dtype: string, shape: readonly number[]) => `${dtype} [${shape.join(", ")}]`;
  for (const [i, [file, range]] of files.entries()) {
    const problems: string[] = [];
    for (const [key, tensor] of Object.entries(part.tensors)) {
      const each = elementsARow(tensor, part);
      if (each === undefined ? i > 0 : range.count === 0) continue;
      const rows = each === undefined ? [] : [rowsOf(range.count, each)];
      const shape = [...rows, ...tensor.shape.slice(rows.length)];
      const expected = text(fileDTypeOf(tensor.dtype), shape);
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
