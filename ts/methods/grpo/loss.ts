// The two parts of GRPO's loss.
import { add, clamp, combine, exp, mean, mul, sum } from "../../ops/index.js";
import type { SdeStep } from "../../sampler/sde.js";
import { tensor, type Tensor } from "../../tensor/tensor.js";

/** How far below and above 1 a ratio counts; 1e-4 both in the official codes. */
export type ClipRange = readonly [below: number, above: number];

// e^80 is a float32 yet: a weight of 0 times more than that would be no number.
const largestLogRatio = 80;

/**
 * `weight sum_b max(-A r, -A clip(r, 1 - below, 1 + above))`, r = e^logRatio: that is -A min(r, 1 + above)
 * where A is above 0 and -A max(r, 1 - below) where it is below. Beyond the bound the gradient is 0.
 *
 * @param logRatio - [B], float32
 * @param advantages - A, one a sample
 * @returns [1]
 */
export function policyLoss(
  logRatio: Tensor,
  advantages: readonly number[],
  { clipRange: [below, above], weight }: { clipRange: ClipRange; weight: number },
): Tensor {
  const part = (bounded: Tensor, wanted: (a: number) => boolean) => {
    const weights = Float32Array.from(advantages, (a) => (wanted(a) ? -weight * a : 0));
    return sum(mul(exp(bounded), tensor(weights, logRatio.shape, { device: logRatio.device })));
  };
  const better = clamp(logRatio, -Infinity, Math.log1p(above));
  const worse = clamp(logRatio, Math.log1p(-below), largestLogRatio);
  return add(
    part(better, (a) => a > 0),
    part(worse, (a) => a < 0),
  );
}

/** Whether the gradient of `policyLoss` is 0 at a ratio. */
export function isClipped(logRatio: number, advantage: number, [below, above]: ClipRange): boolean {
  return advantage > 0 ? logRatio > Math.log1p(above) : logRatio < Math.log1p(-below);
}

/**
 * Flow-GRPO's distance to the reference, `mean((mean - mean_ref)^2) / (2 q^2)` over elements and samples.
 * The two means differ by `(v - v_ref)` times the step's coefficient. With q sqrt(-dt), the std, in q's
 * place it would be the KL of the two Gaussians; the official code leaves dt out, and so do we.
 *
 * @param velocity - [B, L, 4C]
 * @param reference - the reference's at the same state; no gradient
 * @returns [1]
 */
export function referenceLoss(
  velocity: Tensor,
  reference: Tensor,
  steps: readonly SdeStep[],
): Tensor {
  // Subtracted before it is scaled: equal velocities give 0 exactly.
  const apart = combine(velocity, reference, { x: 1, y: -1, dtype: "float32" });
  const each = steps.map(({ v, diffusion }) => v / (Math.SQRT2 * diffusion));
  const scaled = combine(apart, apart, { x: each, y: 0 });
  return mean(mul(scaled, scaled));
}
