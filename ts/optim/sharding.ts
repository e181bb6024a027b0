// ZeRO-1: every rank has all weights and all gradients; the update and its state are cut into equal parts, one a
// rank: of every bucket (`buckets.ts`) its N-th.
//
//   backward          gradients of the rank's own prompts, [n]
//   reduce-scatter    the sum over ranks of the rank's parts, [n / N], bucket by bucket
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
import { release, tensorScope } from "../tensor/scope.js";
import { zeros, type Tensor } from "../tensor/tensor.js";
import { bucketsOf, inOrderOfForward, type Bucket } from "./buckets.js";
import { factoredNorms, gradNorm } from "./clip.js";
import { gatherRows } from "./factored.js";
import { GradientBuckets } from "./gradient_buckets.js";
import { shardOf, wholeShard, type Shard, type ShardPiece } from "./shard.js";

export { shardMultiple } from "./buckets.js";

export class Sharding {
  readonly shard: Shard;
  /** Follows each backward, where gradients pass; undefined where they lie in their buffer to the end of the update. */
  readonly watch: LeafWatch | undefined;
  readonly #passing: GradientBuckets | undefined;
  /** Those with gradients that have a buffer, each with this rank's piece. */
  readonly #summed: readonly { bucket: Bucket; into: Tensor }[];
  readonly #pieces: ReadonlyMap<Bucket, ShardPiece>;
  readonly #forward: readonly Bucket[];

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
    const { pieces } = this.shard;
    this.#pieces = new Map(buckets.map((bucket, i) => [bucket, pieces[i]!]));
    this.#forward = inOrderOfForward(buckets, ranges);
    let at = 0;
    this.#summed =
      this.shard.gradients === gradients
        ? []
        : buckets.flatMap((bucket) => {
            const count = bucket.count / size;
            if (at >= this.shard.gradients.size) return [];
            at += count;
            const into = this.shard.gradients.viewOf(at - count, [count]);
            return [{ bucket, into: release(into) }];
          });
    this.#passing = passing
      ? new GradientBuckets(
          parameters,
          communicator,
          this.#summed.map(({ bucket, into }) => ({ ...bucket, into })),
        )
      : undefined;
    this.watch = this.#passing;
  }

  /** Before an update's first backward. */
  zeroGradients(): void {
    this.parameters.zeroGradients();
    if (this.#passing !== undefined) this.shard.gradients.zero();
  }

  /** Sums the gradients over all ranks, each rank's parts to the rank; those that are factored are gathered. */
  async reduceGradients(): Promise<void> {
    const { communicator, parameters } = this;
    // What no forward has read by now is here too: the update writes the rank's own.
    parameters.arrive();
    this.#passing?.finish();
    if (communicator.size === 1) return;
    const { gradients, factored, buffer } = parameters;
    if (gradients !== undefined) {
      using scope = tensorScope();
      void scope;
      for (const { bucket, into } of this.#summed)
        communicator.reduceScatter(gradients.viewOf(bucket.first, [bucket.count]), into);
    }
    if (factored.length > 0) await gatherRows(factored, buffer, communicator);
  }

  /** The norm of all of the summed gradient, [1], float32: the same bits on every rank. */
  gradNorm(): Tensor {
    const { size } = this.communicator;
    const { pieces, gradients } = this.shard;
    if (size === 1) return gradNorm(pieces[0]!);
    const { buffer, factored, device } = this.parameters;
    const all = zeros([size], { device });
    this.communicator.allGather(globalNorm(gradients), all);
    return globalNorm(concat([all, ...factoredNorms(factored, buffer)], 0));
  }

  /**
   * Every rank's parts of the weights to every rank, beside what is enqueued next. `parameters` has them when they
   * are asked for.
   */
  gatherWeights(): void {
    const { communicator, parameters } = this;
    if (communicator.size === 1) return;
    parameters.arrive();
    using scope = tensorScope();
    void scope;
    for (const bucket of this.#forward) {
      const { first, count } = bucket;
      const whole = parameters.buffer.viewOf(first, [count]);
      const pending = communicator.allGatherAside(this.#pieces.get(bucket)!.weights, whole);
      parameters.expect({ first, count, wait: () => pending.wait() });
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
    for (const { first, count } of this.#pieces.keys()) {
      const own = part.viewOf(at, [count / size]);
      this.communicator.allGather(own, all.viewOf(first, [count]));
      at += count / size;
    }
    return all;
  }

  dispose(): void {
    this.#passing?.dispose();
    const { pieces, gradients } = this.shard;
    if (gradients === this.parameters.gradients) return;
    for (const { into } of this.#summed) into.dispose();
    for (const piece of pieces) {
      piece.weights.dispose();
      piece.gradients?.dispose();
    }
    gradients.dispose();
  }
}
