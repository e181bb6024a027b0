// ZeRO-2: gradients on their way to the ranks that keep them, a bucket at a time, while backward goes on.
//
//   a leaf is added to       its bucket has memory for all its gradients, zeros
//   the last leaf is done    reduce-scatter, beside the device's work
//   two are under way        the older one is waited for, and added to the rank's part of all gradients
//
// A bucket ends where ranks can share it, a parameter where it ends: one that lies in two buckets has its memory
// in the one that has more of it, and what it has of the other is copied there when it is done.
import type { LeafWatch } from "../autograd/backward.js";
import { SrpoError } from "../native/error.js";
import { native } from "../native/binding.js";
import type { GradientMemory, ParameterRange, ParameterSet } from "../nn/parameter_set.js";
import type { Communicator, Pending } from "../ranks/communicator.js";
import { labelled } from "../tensor/device.js";
import { release, tensorScope } from "../tensor/scope.js";
import { empty, zeros, type Tensor } from "../tensor/tensor.js";
import { overlap, type Bucket } from "./buckets.js";

const mostUnderWay = 2;

/** A bucket, and where the rank's part of its sum is added. */
export interface ReducedBucket extends Bucket {
  readonly into: Tensor;
}

/** Memory of a bucket's gradients: elements from `first` on, whole parameters. */
interface Open {
  readonly first: number;
  readonly buffer: Tensor;
}

interface UnderWay {
  readonly bucket: ReducedBucket;
  readonly buffer: Tensor;
  readonly part: Tensor;
  readonly pending: Pending;
}

/** Elements that two ranges have in common, from where on and how many. */
function common(a: Bucket, b: Bucket): Bucket {
  const first = Math.max(a.first, b.first);
  return { first, count: Math.min(a.first + a.count, b.first + b.count) - first };
}

const rangeOf = ({ offset, size }: { offset: number; size: number }): Bucket => ({
  first: offset,
  count: size,
});

export class GradientBuckets implements LeafWatch, GradientMemory {
  readonly #parameters: ParameterSet;
  readonly #communicator: Communicator;
  readonly #buckets: readonly ReducedBucket[];
  readonly #homes = new Map<string, ReducedBucket>();
  /** What each bucket's memory reaches over. */
  readonly #extents = new Map<ReducedBucket, Bucket>();
  readonly #open = new Map<ReducedBucket, Open>();
  /** Leaves of the running backward that a bucket still waits for. */
  readonly #left = new Map<ReducedBucket, number>();
  #leaves: readonly Tensor[] = [];
  /** The buckets of each backward since `start`, as they were summed. */
  #backwards: ReducedBucket[][] = [];
  #underWay: UnderWay[] = [];

  /** @param buckets - of the gradients that are not factored */
  constructor(
    parameters: ParameterSet,
    communicator: Communicator,
    buckets: readonly ReducedBucket[],
  ) {
    this.#parameters = parameters;
    this.#communicator = communicator;
    this.#buckets = buckets;
    const factored = new Set(parameters.factored.map(({ parameter }) => parameter.name));
    for (const bucket of buckets) this.#extents.set(bucket, bucket);
    for (const { parameter, offset, size } of parameters.ranges) {
      if (factored.has(parameter.name)) continue;
      const place = rangeOf({ offset, size });
      const most = buckets.reduce((a, b) =>
        common(b, place).count > common(a, place).count ? b : a,
      );
      this.#homes.set(parameter.name, most);
      const { first, count } = this.#extents.get(most)!;
      const begin = Math.min(first, offset);
      const end = Math.max(first + count, offset + size);
      this.#extents.set(most, { first: begin, count: end - begin });
    }
    parameters.gradientMemory = this;
  }

  gradientAt({ parameter }: ParameterRange, offset: number, shape: readonly number[]): Tensor {
    const { buffer, first } = this.#opened(this.#homes.get(parameter.name)!);
    return release(buffer.viewOf(offset - first, shape));
  }

  #opened(bucket: ReducedBucket): Open {
    const known = this.#open.get(bucket);
    if (known !== undefined) return known;
    while (this.#underWay.length >= mostUnderWay) this.#settle();
    const { first, count } = this.#extents.get(bucket)!;
    const { device, gradDtype: dtype } = this.#parameters;
    const buffer = labelled("gradients", () => release(zeros([count], { dtype, device })));
    const open = { first, buffer };
    this.#open.set(bucket, open);
    return open;
  }

  /** Before an update's first backward. */
  start(): void {
    this.#backwards = [];
  }

  begin(leaves: readonly Tensor[]): void {
    this.#forget(); // of a backward that failed
    this.#backwards.push([]);
    this.#leaves = leaves;
    for (const leaf of leaves)
      for (const bucket of this.#bucketsOf(leaf))
        this.#left.set(bucket, (this.#left.get(bucket) ?? 0) + 1);
  }

  /** The buckets that a leaf lies in, that of its memory first; none where its gradient is no sum of these. */
  #bucketsOf(leaf: Tensor): ReducedBucket[] {
    const place = this.#parameters.placeOf(leaf);
    const home = place && this.#homes.get(place.name);
    if (home === undefined) return [];
    const range = rangeOf(place!);
    return [home, ...this.#buckets.filter((one) => one !== home && overlap(one, range))];
  }

  done(leaf: Tensor): void {
    const [home, ...others] = this.#bucketsOf(leaf);
    if (home === undefined) return;
    if (leaf.grad !== undefined)
      for (const other of others) this.#copy(leaf, this.#opened(home), other);
    this.#parameters.forgetGradient(leaf);
    for (const bucket of [home, ...others]) {
      const left = this.#left.get(bucket)! - 1;
      this.#left.set(bucket, left);
      if (left === 0) this.#reduce(bucket);
    }
  }

  /** What a leaf has of a bucket where its memory is not. */
  #copy(leaf: Tensor, from: Open, bucket: ReducedBucket): void {
    using scope = tensorScope();
    void scope;
    const to = this.#opened(bucket);
    const { first, count } = common(bucket, rangeOf(this.#parameters.placeOf(leaf)!));
    to.buffer
      .viewOf(first - to.first, [count])
      .copyFrom(from.buffer.viewOf(first - from.first, [count]));
  }

  /** Sends a bucket's gradients to their ranks; one that nothing was added to is none's. */
  #reduce(bucket: ReducedBucket): void {
    const open = this.#open.get(bucket);
    if (open === undefined) return;
    this.#open.delete(bucket);
    this.#backwards.at(-1)?.push(bucket);
    const { first, buffer } = open;
    const { device, gradDtype: dtype } = this.#parameters;
    const part = release(empty(bucket.into.shape, { dtype, device }));
    const whole = release(buffer.viewOf(bucket.first - first, [bucket.count]));
    const pending = this.#communicator.reduceScatterAside(whole, part);
    whole.dispose();
    this.#underWay.push({ bucket, buffer, part, pending });
  }

  /**
   * Joins in the sums of backwards that other ranks make and this one does not, with zeros: as many, and as its own
   * last ones were.
   */
  join(backwards: number): void {
    const { length } = this.#backwards;
    for (const buckets of this.#backwards.slice(length - backwards)) {
      this.begin([]);
      for (const bucket of buckets) {
        this.#opened(bucket);
        this.#reduce(bucket);
      }
    }
  }

  /** Waits for the oldest of those under way. */
  #settle(): void {
    const { bucket, buffer, part, pending } = this.#underWay.shift()!;
    pending.wait();
    native.accumulate(bucket.into.handle, part.handle);
    part.dispose();
    buffer.dispose();
  }

  /** When the last backward has ended: everything is added where it belongs. */
  finish(): void {
    if (this.#open.size > 0)
      throw new SrpoError(
        "ERR_GRADIENT",
        "zero 2: expected every backward to be watched to its end, got gradients without one",
      );
    while (this.#underWay.length > 0) this.#settle();
  }

  #forget(): void {
    for (const leaf of this.#leaves) this.#parameters.forgetGradient(leaf);
    for (const { buffer } of this.#open.values()) buffer.dispose();
    this.#open.clear();
    this.#left.clear();
    this.#leaves = [];
  }

  dispose(): void {
    this.#forget();
    for (const { buffer, part } of this.#underWay.splice(0)) {
      part.dispose();
      buffer.dispose();
    }
  }
}
