// ZeRO-1: every rank has all weights and all gradients; the update and its state are cut into equal parts, one a
// rank: of every bucket (`buckets.ts`) its N-th.
//
//   backward          gradients of the rank's own prompts, [n]
//   reduce-scatter    the sum over ranks of the rank's parts, [n / N], bucket by bucket, in their place
//   norm              of the ranks' parts, gathered, in the order of the ranks: the same bits everywhere
//   AdamW, EMA        on the parts
//   all-gather        the weights, [n], in the order in which the next forward reads them and beside it: whoever
//                     reads a weight waits for its bucket
//
// ZeRO-2 keeps no gradients but the rank's parts: a bucket is reduce-scattered when backward is done with it,
// beside the rest of backward (`gradient_buckets.ts`), once a backward.
//
// One rank does none of it, and moves nothing.

import type { LeafWatch } from "../autograd/backward.js";
import { SrpoError } from "../native/error.js";
import type { ParameterSet } from "../nn/parameter_set.js";
import { concat, globalNorm } from "../ops/index.js";
import type { Communicator } from "../ranks/communicator.js";
import { tensorScope } from "../tensor/scope.js";
import { zeros, type Tensor } from "../tensor/tensor.js";
import { bucketsOf, inOrderOfForward, type Bucket } from "./buckets.js";
import { factoredNorms, gradNorm } from "./clip.js";
import { gatherRows } from "./factored.js";
import { GradientBuckets } from "./gradient_buckets.js";
import {
  disposeShard,
  shardNorm,
  shardOf,
  wholeShard,
  type Shard,
  type ShardPiece,
} from "./shard.js";

export { shardMultiple } from "./buckets.js";

export class Sharding {
  readonly shard: Shard;
  /** Follows each backward, where gradients pass; undefined where they lie in their buffer to the end of the update. */
  readonly watch: LeafWatch | undefined;
  readonly #passing: GradientBuckets | undefined;
  /** With this rank's piece of each. */
  readonly #buckets: readonly (readonly [Bucket, ShardPiece])[];
  readonly #forward: readonly (readonly [Bucket, ShardPiece])[];
  #areGathered = false;

  /** @param parameters - filled up to `shardMultiple`; with ZeRO-2 their gradients pass */
  constructor(
    readonly parameters: ParameterSet,
    readonly communicator: Communicator,
  ) {
    const { size } = communicator;
    const { trainable, gradients, ranges } = parameters;
    if (!trainable)
      throw new SrpoError(
        "ERR_CONFIG",
        "Sharding: parameters: expected trainable ones, got a frozen model",
      );
    const passing = gradients === undefined;
    const buckets = bucketsOf(parameters, size);
    this.shard =
      size === 1 && !passing ? wholeShard(parameters) : shardOf(parameters, buckets, communicator);
    const pieceOf = new Map(buckets.map((bucket, i) => [bucket, this.shard.pieces[i]!]));
    this.#buckets = [...pieceOf];
    this.#forward = inOrderOfForward(buckets, ranges).map((one) => [one, pieceOf.get(one)!]);
    const summed = this.#buckets.flatMap(([bucket, { sum }]) =>
      sum === undefined ? [] : [{ ...bucket, into: sum }],
    );
    this.#passing = passing ? new GradientBuckets(parameters, communicator, summed) : undefined;
    this.watch = this.#passing;
  }

  /** Before an update's first backward. */
  zeroGradients(): void {
    this.parameters.zeroGradients();
    this.shard.sums?.zero();
    this.#passing?.start();
  }

  /** Takes part in so many backwards that other ranks make and this one does not; in ZeRO-1 there is no need to. */
  joinBackwards(count: number): void {
    this.#passing?.join(count);
  }

  /** Sums the gradients over all ranks, each rank's parts to the rank; those that are factored are gathered. */
  async reduceGradients(): Promise<void> {
    const { communicator, parameters } = this;
    // What no forward has read by now is here too: the update writes the rank's own.
    parameters.arrivals.waitForAll();
    this.#passing?.finish();
    if (communicator.size === 1) return;
    const { gradients, factored, buffer } = parameters;
    if (gradients !== undefined) {
      using scope = tensorScope();
      void scope;
      for (const [{ first, count }, { sum }] of this.#buckets)
        if (sum !== undefined) communicator.reduceScatter(gradients.viewOf(first, [count]), sum);
    }
    if (factored.length > 0) await gatherRows(factored, buffer, communicator);
  }

  /** The norm of all of the summed gradient, [1], float32: the same bits on every rank. */
  gradNorm(): Tensor {
    const { size } = this.communicator;
    if (size === 1) return gradNorm(this.shard.pieces[0]!);
    const { buffer, factored, device } = this.parameters;
    const all = zeros([size], { device });
    this.communicator.allGather(shardNorm(this.shard, device), all);
    return globalNorm(concat([all, ...factoredNorms(factored, buffer)], 0));
  }

  /** After an update of this rank's parts. Until `gatherWeights` nothing may read the parameters, and nothing can. */
  weightsMoved(): void {
    if (this.communicator.size === 1) return;
    this.parameters.arrivals.expect({
      first: 0,
      count: Infinity,
      wait() {
        throw new SrpoError(
          "ERR_RANKS",
          "weights: expected to be gathered by all ranks after an update, got a read before",
        );
      },
    });
    this.#areGathered = false;
  }

  /**
   * Every rank's parts of the weights to every rank, where they have moved; beside what is enqueued next, and there
   * when they are read. A collective after it waits for it: it comes last before what it is to go beside.
   */
  gatherWeights(): void {
    const { communicator, parameters } = this;
    if (communicator.size === 1 || this.#areGathered) return;
    this.#areGathered = true;
    parameters.arrivals.forget();
    using scope = tensorScope();
    void scope;
    for (const [{ first, count }, { weights }] of this.#forward) {
      const whole = parameters.buffer.viewOf(first, [count]);
      const pending = communicator.allGatherAside(weights, whole);
      parameters.arrivals.expect({ first, count, wait: () => pending.wait() });
    }
  }

  /** All of what each rank has a part of, piece after piece: [n]. */
  gathered(part: Tensor): Tensor {
    const { size } = this.communicator;
    if (size === 1) return part;
    const { dtype, device } = part;
    const all = zeros([part.size * size], { dtype, device });
    using scope = tensorScope();
    void scope;
    let at = 0;
    for (const { first, count } of this.#buckets.map(([bucket]) => bucket)) {
      const own = part.viewOf(at, [count / size]);
      this.communicator.allGather(own, all.viewOf(first, [count]));
      at += count / size;
    }
    return all;
  }

  dispose(): void {
    this.#passing?.dispose();
    // One rank's are the parameters' own.
    if (this.communicator.size > 1) disposeShard(this.shard);
  }
}
