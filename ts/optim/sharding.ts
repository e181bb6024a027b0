// ZeRO-1: every rank has all weights and all gradients; the update and its state are cut into equal ranges of
// the flat buffers, one a rank.
//
//   backward          gradients of the rank's own prompts, [n]
//   reduce-scatter    the sum over ranks of the rank's range, [n / N]
//   norm              of the ranges' norms, gathered, in the order of the ranks: the same bits everywhere
//   AdamW, EMA        on the range
//   all-gather        the weights, [n]
//
// One rank does none of it, and moves nothing.

import type { ParameterSet } from "../nn/parameter_set.js";
import { globalNorm } from "../ops/index.js";
import type { Communicator } from "../ranks/communicator.js";
import { release } from "../tensor/scope.js";
import { zeros, type Tensor } from "../tensor/tensor.js";
import { gradientsOf, type FlatParameters } from "./flat_parameters.js";
import { gradNorm } from "./clip.js";

/** Elements of which a rank's range is a multiple: a block of 8-bit moments, some cache lines. */
const unit = 256;

/** What `ParameterSet` is to be a multiple of, so that ranks have equal ranges. */
export function shardMultiple(ranks: number): number {
  return ranks === 1 ? 1 : unit * ranks;
}

/** A rank's range of the flat parameters. */
export interface Shard extends FlatParameters {
  readonly first: number;
  readonly count: number;
}

export class Sharding {
  readonly shard: Shard;

  /** @param parameters - filled up to `shardMultiple` */
  constructor(
    readonly parameters: ParameterSet,
    readonly communicator: Communicator,
  ) {
    const { rank, size } = communicator;
    const { weights, device } = parameters;
    const gradients = gradientsOf(parameters, "Sharding");
    const count = weights.size / size;
    const first = rank * count;
    this.shard =
      size === 1
        ? { weights, gradients, factored: parameters.factored, first, count }
        : {
            weights: release(weights.viewOf(first, [count])),
            gradients: release(zeros([count], { dtype: gradients.dtype, device })),
            first,
            count,
          };
  }

  /** Sums the gradients over all ranks, each rank's range to the rank. */
  reduceGradients(): void {
    if (this.communicator.size > 1)
      this.communicator.reduceScatter(this.parameters.gradients!, this.shard.gradients!);
  }

  /** The norm of all of the summed gradient, [1], float32: the same bits on every rank. */
  gradNorm(): Tensor {
    const own = gradNorm(this.shard);
    const { size } = this.communicator;
    if (size === 1) return own;
    const all = zeros([size], { device: own.device });
    this.communicator.allGather(own, all);
    return globalNorm(all);
  }

  /** Every rank's range of the weights to every rank. */
  gatherWeights(): void {
    if (this.communicator.size > 1)
      this.communicator.allGather(this.shard.weights, this.parameters.weights);
  }

  /** All of what each rank has a range of, [n]. */
  gathered(part: Tensor): Tensor {
    const { size } = this.communicator;
    if (size === 1) return part;
    const { dtype, device } = part;
    const all = zeros([part.size * size], { dtype, device });
    this.communicator.allGather(part, all);
    return all;
  }

  dispose(): void {
    if (this.communicator.size === 1) return;
    this.shard.weights.dispose();
    this.shard.gradients?.dispose();
  }
}
