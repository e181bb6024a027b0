// What of the flat parameters is a rank's: the same part of every bucket.
import type { ParameterSet } from "../nn/parameter_set.js";
import { concat, globalNorm } from "../ops/index.js";
import { labelled, type Device } from "../tensor/device.js";
import { release } from "../tensor/scope.js";
import { zeros, type Tensor } from "../tensor/tensor.js";
import { partFirst, type Bucket } from "./buckets.js";
import { factoredWithin } from "./factored.js";
import { gradientsOf, type FlatParameters } from "./flat_parameters.js";

/** Elements [first, first + count) of the flat parameters: a rank's part of a bucket. */
export interface ShardPiece extends FlatParameters {
  readonly first: number;
  readonly count: number;
  /** Where the sum over the ranks of the part goes: `gradients` and filling. Undefined where all is factored. */
  readonly sum: Tensor | undefined;
}

export interface Shard {
  /** One a bucket, in order. */
  readonly pieces: readonly ShardPiece[];
  /** What the sums are views of, where that is not the parameters' own gradients: piece after piece. */
  readonly sums: Tensor | undefined;
}

/** All of the parameters, as they lie. */
export function wholeShard(parameters: ParameterSet): Shard {
  const { buffer, factored, squares } = parameters;
  const gradients = gradientsOf(parameters, "Sharding");
  const place = { first: 0, count: buffer.size };
  const piece = { weights: buffer, gradients, factored, squares, ...place, sum: undefined };
  return { pieces: [piece], sums: undefined };
}

/**
 * A rank's parts of the buckets. Their gradients are summed where they lie, or, where gradients pass, in memory of
 * their own.
 *
 * @param parameters - filled up to `shardMultiple`
 */
export function shardOf(
  parameters: ParameterSet,
  buckets: readonly Bucket[],
  { rank, size }: { rank: number; size: number },
): Shard {
  const { buffer, factored, device, gradDtype: dtype, gradients } = parameters;
  const dense = factored[0]?.offset ?? buffer.size;
  const own = buckets.map((bucket) => ({
    first: partFirst(bucket, rank, size),
    count: bucket.count / size,
    isSummed: bucket.first < dense,
  }));
  const length = own.reduce((sum, { count, isSummed }) => sum + (isSummed ? count : 0), 0);
  const sums =
    gradients === undefined
      ? labelled("gradients", () => release(zeros([length], { dtype, device })))
      : undefined;
  let at = 0;
  const pieces = own.map(({ first, count, isSummed }): ShardPiece => {
    const from = sums === undefined ? first : at;
    if (isSummed) at += count;
    const all = sums ?? gradients!;
    // Behind the last of them lie factored ones, in the same bucket.
    const withBuffer = Math.max(0, Math.min(count, dense - first));
    return {
      weights: release(buffer.viewOf(first, [count])),
      gradients: release(all.viewOf(isSummed ? from : 0, [withBuffer])),
      factored: factoredWithin(factored, first, count),
      first,
      count,
      sum: isSummed ? release(all.viewOf(from, [count])) : undefined,
    };
  });
  return { pieces, sums };
}

/** The norm of a shard's gradients that have a buffer, [1], float32. */
export function shardNorm({ pieces }: Shard, device: Device): Tensor {
  const norms = pieces.flatMap(({ gradients }) =>
    gradients!.size > 0 ? [globalNorm(gradients!)] : [],
  );
  return norms.length === 0 ? zeros([1], { device }) : globalNorm(concat(norms, 0));
}

export function disposeShard({ pieces, sums }: Shard): void {
  for (const { weights, gradients, sum } of pieces)
    for (const t of [weights, gradients, sum]) t?.dispose();
  sums?.dispose();
}
