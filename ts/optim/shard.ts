// What of the flat parameters is a rank's: the same part of every bucket.
import type { ParameterSet } from "../nn/parameter_set.js";
import { labelled } from "../tensor/device.js";
import { release } from "../tensor/scope.js";
import { zeros, type Tensor } from "../tensor/tensor.js";
import { partFirst, type Bucket } from "./buckets.js";
import { factoredWithin } from "./factored.js";
import { gradientsOf, type FlatParameters } from "./flat_parameters.js";

/** Elements [first, first + count) of the flat parameters. */
export interface ShardPiece extends FlatParameters {
  readonly first: number;
  readonly count: number;
}

export interface Shard {
  /** In order. */
  readonly pieces: readonly ShardPiece[];
  /** What their gradients are views of, piece after piece: summed over the ranks. */
  readonly gradients: Tensor;
}

/** All of the parameters, as they lie. */
export function wholeShard(parameters: ParameterSet): Shard {
  const { buffer, factored, squares } = parameters;
  const gradients = gradientsOf(parameters, "Sharding");
  const piece = { weights: buffer, gradients, factored, squares, first: 0, count: buffer.size };
  return { pieces: [piece], gradients };
}

/**
 * A rank's parts of the buckets, with memory for the gradients of those that have a buffer.
 *
 * @param parameters - filled up to `shardMultiple`
 */
export function shardOf(
  parameters: ParameterSet,
  buckets: readonly Bucket[],
  { rank, size }: { rank: number; size: number },
): Shard {
  const { buffer, factored, device, gradDtype: dtype } = parameters;
  const dense = factored[0]?.offset ?? buffer.size;
  const own = buckets.map((bucket) => ({
    first: partFirst(bucket, rank, size),
    count: bucket.count / size,
    summed: bucket.first < dense,
  }));
  const length = own.reduce((sum, { count, summed }) => sum + (summed ? count : 0), 0);
  const gradients = labelled("gradients", () => release(zeros([length], { dtype, device })));
  let at = 0;
  const pieces = own.map(({ first, count, summed }): ShardPiece => {
    const begin = at;
    if (summed) at += count;
    // Behind the last of them lie factored ones, in the same bucket.
    const withBuffer = Math.max(0, Math.min(count, dense - first));
    return {
      weights: release(buffer.viewOf(first, [count])),
      gradients: release(gradients.viewOf(begin, [withBuffer])),
      factored: factoredWithin(factored, first, count),
      first,
      count,
    };
  });
  return { pieces, gradients };
}
