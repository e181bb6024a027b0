// How the flat parameters are cut for several ranks. A bucket is about a block of the model, and goes between
// ranks in one piece; of every bucket each rank has its N-th, in order:
//
//   | bucket 0         | bucket 1                 | bucket 2      |
//   | 0 | 1 | ... |N-1 | 0  |  1  |  ...  |  N-1  | 0 | 1 |...    |
//
// So a bucket's gradients can go to their ranks as soon as its block is done, and its weights come from all of
// them while the blocks before it run. Where a bucket ends depends on the number of ranks; where a parameter lies
// does not.

import type { ParameterRange } from "../nn/parameter_set.js";

/** Elements of the flat parameters: [first, first + count). */
export interface Bucket {
  readonly first: number;
  readonly count: number;
}

/** Elements of which a rank's part is a multiple: a block of 8-bit moments, some cache lines. */
const unit = 256;

/** Elements that a bucket has, or a few more: of FLUX.1 a single block, or a stream of a double one. */
const mostInBucket = 128 << 20;
/** Of fewer parameters, so many buckets that they can be on their way one by one. */
const bucketsOfFew = 16;

/** Elements that a bucket of so many parameters has, or a few more. */
export function bucketElements(length: number): number {
  return Math.min(mostInBucket, length / bucketsOfFew);
}

/** What `ParameterSet` is to be a multiple of, so that ranks have equal parts. */
export function shardMultiple(ranks: number): number {
  return ranks === 1 ? 1 : unit * ranks;
}

/** "double_blocks.3" of a name in a block, else its first word. */
function blockOf({ parameter: { name } }: ParameterRange): string {
  return /^\w+\.\d+(?=\.)/.exec(name)?.[0] ?? name.split(".", 1)[0]!;
}

/** What of a `ParameterSet` says how it lies. */
export interface Laid {
  readonly ranges: readonly ParameterRange[];
  readonly factored: readonly ParameterRange[];
  readonly length: number;
}

/** Where one bucket ends and the next begins: at a parameter's first element, at best at a block's. */
function endsOf({ ranges, factored, length }: Laid, least: number): number[] {
  const target = Math.max(least, bucketElements(length));
  const dense = factored[0]?.offset;
  const ordered = [...ranges].sort((a, b) => a.offset - b.offset);
  const ends: number[] = [];
  let begin = 0;
  for (const [i, range] of ordered.entries()) {
    if (i === 0) continue;
    const has = range.offset - begin;
    const isNext = blockOf(ordered[i - 1]!) !== blockOf(range);
    if (has < (isNext ? target / 2 : target) && range.offset !== dense) continue;
    ends.push(range.offset);
    begin = range.offset;
  }
  return ends;
}

/**
 * The buckets of flat parameters, in order. Each is a multiple of `shardMultiple`, but for one rank, which has one
 * bucket of all. Gradients that have a buffer end with a bucket.
 */
export function bucketsOf(set: Laid, ranks: number): Bucket[] {
  const multiple = shardMultiple(ranks);
  const size = Math.ceil(set.length / multiple) * multiple;
  if (ranks === 1) return [{ first: 0, count: size }];
  const dense = set.factored[0]?.offset ?? size;
  const buckets: Bucket[] = [];
  let first = 0;
  for (const end of [...endsOf(set, multiple), size]) {
    // What is factored begins within the bucket of what is not, if anywhere: that one reaches to its last gradient.
    const round = end === dense ? Math.ceil : Math.round;
    const to = Math.min(round(end / multiple) * multiple, size);
    if (to > first) buckets.push({ first, count: to - first });
    first = Math.max(first, to);
  }
  return buckets;
}

/** The first element of a rank's part of a bucket. */
export function partFirst({ first, count }: Bucket, rank: number, ranks: number): number {
  return first + (rank * count) / ranks;
}

/** Whether two ranges have an element in common. */
export function overlap(a: Bucket, b: Bucket): boolean {
  return a.first < b.first + b.count && b.first < a.first + a.count;
}

/** The buckets by where the first of their parameters is declared: the order in which a forward reads them. */
export function inOrderOfForward(
  buckets: readonly Bucket[],
  ranges: readonly ParameterRange[],
): Bucket[] {
  const places = buckets.map((bucket) =>
    ranges.findIndex(({ offset, size }) => overlap(bucket, { first: offset, count: size })),
  );
  return buckets
    .map((bucket, i) => ({ bucket, place: places[i]! < 0 ? Infinity : places[i]! }))
    .sort((a, b) => a.place - b.place || a.bucket.first - b.bucket.first)
    .map(({ bucket }) => bucket);
}
