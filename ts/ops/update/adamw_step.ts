import { native } from "../../native/binding.js";
import { purposes } from "../random/purposes.js";
import type { Tensor } from "../../tensor/tensor.js";

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
 * @param options.weights - [n], float32 or bfloat16
 * @param options.remainder - [n, 2], uint8, with bfloat16 weights
 * @param options.stochastic - instead of a remainder; `offset` is the first element's place, default 0
 * @param options.m - [n], float32; likewise v
 * @param options.grad - [n], float32 or bfloat16
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
  stochastic?: { readonly seed: bigint; readonly offset?: number } | undefined;
  grad: Tensor;
  m: Tensor;
  v: Tensor;
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
  const { weights, remainder, grad, m, v, gradNorm, skipped, stochastic } = options;
  native.adamwStep(
    weights.handle,
    remainder?.handle ?? null,
    m.handle,
    v.handle,
    grad.handle,
    gradNorm?.handle ?? null,
    skipped?.handle ?? null,
    options.lr,
    options.beta1,
    options.beta2,
    options.eps,
    options.weightDecay,
    options.maxGradNorm ?? 0,
    options.step,
    ...(stochastic === undefined
      ? ([] as const)
      : ([stochastic.seed, purposes.rounding, stochastic.offset ?? 0] as const)),
  );
}
