// ZeRO-1: every rank has all weights and all gradients; the update and its state are cut into equal ranges of
// the flat buffers, one a rank.
//
//   backward          gradients of the rank's own prompts, [n]
//   reduce-scatter    the sum over ranks of the rank's range, [n / N]
//   norm              of the ranges' norms, gathered, in the order of the ranks: the same bits everywhere
//   AdamW, EMA        on the range
//   all-gather        the weights, [n]
//
// ZeRO-2 keeps no gradients but the rank's range. As a leaf's gradient becomes whole in backward it is summed
// over the ranks, each adds to its range what lies in it, and the rest is freed:
//
//   all-reduce        of leaves' gradients, 64 MB or so at a time, after each backward: twice the bytes
//                     of a reduce-scatter, and for each backward again
//
// One rank does none of it, and moves nothing.

import type { LeafDone } from "../autograd/backward.js";
import { noGrad } from "../autograd/tape.js";
import { native } from "../native/binding.js";
import type { ParameterSet } from "../nn/parameter_set.js";
import { concat, globalNorm } from "../ops/index.js";
import type { Communicator } from "../ranks/communicator.js";
import { release, tensorScope } from "../tensor/scope.js";
import { zeros, type Tensor } from "../tensor/tensor.js";
import { gradientsOf, type FlatParameters } from "./flat_parameters.js";
import { factoredNorms, gradNorm } from "./clip.js";
import { factoredWithin, gatherRows } from "./factored.js";

/** Elements that ZeRO-2 sums at a time, if leaves are smaller: 64 MB, or a quarter of a rank's range. */
const mostInBucket = 16 << 20;

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

/** Where a rank finds the summed gradients of its range. */
function gradientsWithin(
  { gradients, factored, device }: ParameterSet,
  first: number,
  count: number,
): Pick<Shard, "gradients" | "factored"> {
  if (gradients === undefined) return { gradients: release(zeros([count], { device })) };
  const { size, dtype } = gradients;
  if (factored.length === 0) return { gradients: release(zeros([count], { dtype, device })) };
  const own = Math.max(0, Math.min(first + count, size) - first);
  return {
    gradients: release(gradients.viewOf(Math.min(first, size), [own])),
    factored: factoredWithin(factored, first, count),
  };
}

export class Sharding {
  readonly shard: Shard;
  /** Takes gradients out of a backward; undefined where they lie in their buffer to the end of the update. */
  readonly onLeafDone: LeafDone | undefined;
  readonly #waiting: { gradient: Tensor; offset: number }[] = [];

  /** @param parameters - filled up to `shardMultiple`; with ZeRO-2 their gradients pass */
  constructor(
    readonly parameters: ParameterSet,
    readonly communicator: Communicator,
  ) {
    const { rank, size } = communicator;
    const { weights, factored, squares } = parameters;
    const passing = parameters.trainable && parameters.gradients === undefined;
    const gradients = passing ? undefined : gradientsOf(parameters, "Sharding");
    this.onLeafDone = passing ? (leaf) => this.#take(leaf) : undefined;
    const count = weights.size / size;
    const first = rank * count;
    this.shard =
      size === 1 && gradients !== undefined
        ? { weights, gradients, factored, squares, first, count }
        : {
            weights: release(weights.viewOf(first, [count])),
            first,
            count,
            ...gradientsWithin(parameters, first, count),
          };
  }

  /** Before an update's first backward. */
  zeroGradients(): void {
    this.parameters.zeroGradients();
    if (this.onLeafDone !== undefined) this.shard.gradients!.zero();
  }

  /** Takes a leaf's gradient; when enough are waiting, they are summed over the ranks. */
  #take(leaf: Tensor): void {
    const taken = this.parameters.takeGradient(leaf);
    if (taken === undefined) return;
    this.#waiting.push(taken);
    const elements = this.#waiting.reduce((sum, { gradient }) => sum + gradient.size, 0);
    const enough = Math.min(mostInBucket, this.shard.count / 4);
    if (elements >= enough) this.#sumWaiting();
  }

  /** One sum over the ranks of what is waiting; of each, what lies in this rank's range is added there. */
  #sumWaiting(): void {
    const waiting = this.#waiting.splice(0);
    if (waiting.length === 0) return;
    using scope = tensorScope();
    void scope;
    const flat = waiting.map(({ gradient }) => gradient.viewOf(0, [gradient.size]));
    const bucket = flat.length === 1 ? flat[0]! : noGrad(() => concat(flat, 0));
    this.communicator.allReduce(bucket);
    const { first, count, gradients } = this.shard;
    let at = 0;
    for (const { gradient, offset } of waiting) {
      const begin = Math.max(first, offset);
      const length = Math.min(first + count, offset + gradient.size) - begin;
      if (length > 0) {
        const from = bucket.viewOf(at + begin - offset, [length]);
        native.accumulate(gradients!.viewOf(begin - first, [length]).handle, from.handle);
      }
      at += gradient.size;
      gradient.dispose();
    }
  }

  /**
   * Sums the gradients over all ranks, each rank's range to the rank; those that are factored are gathered. Their
   * ranges leave others of unequal length, which are summed where they lie.
   */
  async reduceGradients(): Promise<void> {
    const { communicator, parameters, shard } = this;
    if (this.onLeafDone !== undefined) return this.#sumWaiting();
    if (communicator.size === 1) return;
    const { gradients, factored, weights } = parameters;
    if (factored.length === 0) return communicator.reduceScatter(gradients!, shard.gradients!);
    communicator.allReduce(gradients!);
    await gatherRows(factored, weights, communicator);
  }

  /** The norm of all of the summed gradient, [1], float32: the same bits on every rank. */
  gradNorm(): Tensor {
    const { size } = this.communicator;
    if (size === 1) return gradNorm(this.shard);
    const { weights, factored } = this.parameters;
    const { gradients } = this.shard;
    const { device } = weights;
    const own = gradients!.size > 0 ? globalNorm(gradients!) : zeros([1], { device });
    const all = zeros([size], { device });
    this.communicator.allGather(own, all);
    return globalNorm(concat([all, ...factoredNorms(factored, weights)], 0));
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
