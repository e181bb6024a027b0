import { native } from "../../native/binding.js";
import { purposes } from "../random/purposes.js";
import type { Tensor } from "../../tensor/tensor.js";

/** Elements of 8-bit moments that share a scale. A shard of them begins at a multiple of it. */
export const momentBlock = 256;

/** What names the draws of a range: `offset` is its first element's place among all parameters, default 0. */
export interface RandomRounding {
  readonly seed: bigint;
  readonly offset?: number;
}

/**
 * The gradient of a matrix [N, K] as a sum of R outer products: `dy` [R, N], `x` [R, K], float32 or bfloat16
 * both. `first` is the place of the range's first element in the matrix, row by row; default 0.
 */
export interface FactoredGradient {
  readonly dy: Tensor;
  readonly x: Tensor;
  readonly first?: number;
}

/**
 * One AdamW update of a flat range, in place, with t = step - skipped:
 *
 *     g = grad * min(1, maxGradNorm / (gradNorm + 1e-6))
 *     w = w (1 - lr weightDecay)
 *     m = beta1 m + (1 - beta1) g,   v = beta2 v + (1 - beta2) g^2
 *     w = w - lr / (1 - beta1^t) * m / (sqrt(v / (1 - beta2^t)) + eps)
 *
 * Float32 throughout. A bfloat16 weight is updated through its float32 master (`splitMaster`), to the
 * same bits as a float32 weight. If `gradNorm` is not finite, nothing changes. Nothing waits: norm and
 * counter are read on the device. Views make a shard a range of the same call.
 *
 * With `stochastic` a bfloat16 weight has no master: the float32 result is rounded up or down, each with
 * the odds of how near it is, so that it is right on average. Which way depends on the seed, the step and
 * the element's place among all parameters alone.
 *
 * Moments of 16 or 8 bits are rounded likewise after their float32 values have been used. Those of 8 bits
 * are floats too, of 3 bits of fraction, their exponents counted down from their block's largest: m over 18
 * binades, v over 32, where what is not zero never becomes it (cpp/ops/update/moments.h).
 *
 * @param options.weights - [n], float32 or bfloat16
 * @param options.remainder - [n, 2], uint8, with bfloat16 weights
 * @param options.stochastic - instead of a remainder
 * @param options.m - [n], float32, bfloat16 or uint8; likewise v
 * @param options.mScale - [ceil(n / 256)], uint8, with uint8 moments; likewise vScale. Zeros at first
 * @param options.momentRounding - of moments that are not float32
 * @param options.grad - [n], float32 or bfloat16
 * @param options.factors - instead of grad; summed in float32, in the order of their rows
 * @param options.step - of this update, from 1, those that were skipped counted
 * @param options.gradNorm - [1], float32, of the whole gradient; needed to clip and to skip
 * @param options.maxGradNorm - default 0: no clipping
 * @param options.skipped - [1], int32: updates skipped so far, this one included (`countNonFinite`)
 * @throws SrpoError ERR_SHAPE, ERR_DTYPE, ERR_DEVICE or ERR_RANGE, naming the argument
 * @see Loshchilov and Hutter, arXiv:1711.05101; order of operations of torch.optim.AdamW
 */
export function adamwStep(options: {
  weights: Tensor;
  remainder?: Tensor | null | undefined;
  stochastic?: RandomRounding | undefined;
  grad?: Tensor | undefined;
  factors?: FactoredGradient | undefined;
  m: Tensor;
  v: Tensor;
  mScale?: Tensor | undefined;
  vScale?: Tensor | undefined;
  momentRounding?: RandomRounding | undefined;
  lr: number;
  beta1: number;
  beta2: number;
  eps: number;
  weightDecay: number;
  step: number;
  gradNorm?: Tensor | undefined;
  maxGradNorm?: number | undefined;
  skipped?: Tensor | undefined;
}): void {
  const { weights, remainder, grad, m, v, mScale, vScale, gradNorm, skipped } = options;
  const { stochastic, momentRounding, factors } = options;
  native.adamwStep(
    weights.handle,
    remainder?.handle ?? null,
    m.handle,
    v.handle,
    mScale?.handle ?? null,
    vScale?.handle ?? null,
    grad?.handle ?? null,
    gradNorm?.handle ?? null,
    skipped?.handle ?? null,
    options.lr,
    options.beta1,
    options.beta2,
    options.eps,
    options.weightDecay,
    options.maxGradNorm ?? 0,
    options.step,
    stochastic?.seed,
    purposes.rounding,
    stochastic?.offset ?? 0,
    momentRounding?.seed,
    purposes.momentRounding,
    momentRounding?.offset ?? 0,
    factors?.dy.handle ?? null,
    factors?.x.handle ?? null,
    factors?.first ?? 0,
  );
}
