import type { Layout } from "./layout.js";
import { sizeOf, type Parameter } from "./parameter.js";

/** One tensor on disk and the part of a parameter that it fills. */
export interface DiskTensor {
  /** Its name on disk. */
  readonly disk: string;
  /** Its shape on disk. */
  readonly shape: readonly number[];
  /** The parameter. */
  readonly name: string;
  /** Elements of the parameter that lie before it. */
  readonly offset: number;
  readonly layout: Layout;
}

/** The names on disk of a model's parameters: every element of every parameter stands in one tensor. */
export interface NamesMap {
  readonly tensors: readonly DiskTensor[];
  /** Names on disk that other programs leave there and this model has no use for. */
  readonly ignores: (disk: string) => boolean;
}

/** A whole parameter under another name; `shape` where the one on disk differs. */
export function whole(
  disk: string,
  { name, shape }: Parameter,
  options: { shape?: readonly number[]; layout?: Layout } = {},
): DiskTensor {
  return { disk, shape: options.shape ?? shape, name, offset: 0, layout: options.layout ?? "same" };
}

/** Rows [start, start + count) of a parameter as a tensor of its own. */
export function rowsOf(
  disk: string,
  { name, shape }: Parameter,
  start: number,
  count: number,
): DiskTensor {
  const [, ...rest] = shape;
  return { disk, shape: [count, ...rest], name, offset: start * sizeOf(rest), layout: "same" };
}

/** A parameter whose rows are equal parts on disk: the q, k and v of a fused projection. */
export function thirds(disks: readonly string[], parameter: Parameter): DiskTensor[] {
  const count = parameter.shape[0]! / disks.length;
  return disks.map((disk, i) => rowsOf(disk, parameter, i * count, count));
}

/** A convolution's weight, [out, in, kh, kw] on disk and [out, kh, kw, in] in memory. */
export function convolution(disk: string, parameter: Parameter): DiskTensor {
  const [out, kh, kw, input] = parameter.shape;
  return whole(disk, parameter, { shape: [out!, input!, kh!, kw!], layout: "convolution" });
}

/** A matrix that is stored transposed. */
export function transposed(disk: string, parameter: Parameter): DiskTensor {
  const [rows, columns] = parameter.shape;
  return whole(disk, parameter, { shape: [columns!, rows!], layout: "transposed" });
}

/** The same map with a prefix before every name; what has another prefix is not ours. */
export function prefixed(prefix: string, map: NamesMap): NamesMap {
  if (prefix === "") return map;
  return {
    tensors: map.tensors.map((t) => ({ ...t, disk: prefix + t.disk })),
    ignores: (disk) => !disk.startsWith(prefix) || map.ignores(disk.slice(prefix.length)),
  };
}

/** The prefix, of these or none, behind which a file has the name that marks a model; none if it has not. */
export function prefixIn(
  names: Iterable<string>,
  mark: string,
  prefixes: readonly string[],
): string {
  const all = new Set(names);
  return ["", ...prefixes].find((prefix) => all.has(prefix + mark)) ?? "";
}
