// One step of the flow's stochastic samplers, from noise level s to s' < s:
//
//   dt   = s' - s < 0
//   mean = (1 + q^2 / (2 s) dt) x + (1 + q^2 (1 - s) / (2 s)) dt v,    std = q sqrt(-dt)
//   x'   = mean + std noise
//
//   dance  q = level (eta, 0.3)                                DanceGRPO, fastvideo/train_grpo_flux.py
//   flow   q = level sqrt(s / (1 - s)) (a, 0.7 ... 0.9), with the schedule's second noise level in
//          the root's 1 - s where s is 1         Flow-GRPO, diffusers_patch/sd3_sde_with_logprob.py
//   cps    coefficients that keep the amounts of picture and of noise:  std = s' sin(level pi / 2),
//          mean = (1 - s') (x - s v) + sqrt(s'^2 - std^2) (x + (1 - s) v)    Flow-GRPO-Fast
//
// The score in the drift balances the noise, so that the marginals stay the flow's. Level 0 is the Euler
// step x + dt v, to the bit. All of it is float32 on the device: bfloat16 states overflow the density.

import { SrpoError } from "../native/error.js";
import { combine, gaussianLogDensity } from "../ops/index.js";
import type { Tensor } from "../tensor/tensor.js";

export type SdeForm = "dance" | "flow" | "cps";

export const sdeForms: readonly SdeForm[] = ["dance", "flow", "cps"];

/** A step's numbers: `mean = x state + v velocity`. */
export interface SdeStep {
  /** Noise levels. */
  from: number;
  to: number;
  /** Of the state. */
  x: number;
  /** Of the velocity. */
  v: number;
  /** Of the noise that is added; 0: the Euler step, without a density. */
  std: number;
  /**
   * What the log density divides by: `std`; for cps, whose code drops the scale, 1 / sqrt(2); 1 for an
   * Euler step, so that its sample may share a batch with others.
   */
  densityStd: number;
  /** The std a unit of time, std / sqrt(-dt): q, which Flow-GRPO's KL divides by. */
  diffusion: number;
}

/** The Euler step of the flow: no noise. */
export function eulerStep(sigmas: ArrayLike<number>, i: number): SdeStep {
  const [from, to] = [sigmas[i]!, sigmas[i + 1]!];
  return { from, to, x: 1, v: Math.fround(to - from), std: 0, densityStd: 1, diffusion: 0 };
}

/**
 * Step i of a schedule, `sigmas[i]` to `sigmas[i + 1]`.
 *
 * @param sigmas - decreasing, within [0, 1]
 * @param level - 0 or more: eta, a, or for cps a share of a right angle, at most 1
 * @throws SrpoError ERR_CONFIG for a level out of its range
 */
export function sdeStep(
  sigmas: ArrayLike<number>,
  i: number,
  { form, level }: { form: SdeForm; level: number },
): SdeStep {
  if (!(level >= 0 && (form !== "cps" || level <= 1)))
    throw new SrpoError(
      "ERR_CONFIG",
      `sde: level: expected ${form === "cps" ? "0 to 1 for cps" : "0 or more"}, got ${level}`,
    );
  const euler = eulerStep(sigmas, i);
  if (level === 0) return euler;
  const { from, to, v: dt } = euler;
  if (form === "cps") {
    const std = to * Math.sin((level * Math.PI) / 2);
    if (std === 0) return euler;
    const noise = Math.sqrt(to ** 2 - std ** 2);
    const [x, v] = [1 - to + noise, noise * (1 - from) - (1 - to) * from];
    return { from, to, x, v, std, densityStd: Math.SQRT1_2, diffusion: std / Math.sqrt(-dt) };
  }
  const rest = 1 - (from === 1 ? sigmas[1]! : from);
  const q = form === "dance" ? level : level * Math.sqrt(from / rest);
  const std = q * Math.sqrt(-dt);
  return {
    from,
    to,
    x: 1 + (q ** 2 / (2 * from)) * dt,
    v: (1 + (q ** 2 * (1 - from)) / (2 * from)) * dt,
    std,
    densityStd: std,
    diffusion: q,
  };
}

/**
 * Where a step's Gaussian is centred; the gradient reaches the velocity (and x).
 *
 * @param x - [B, L, 4C], float32
 * @param velocity - [B, L, 4C], float32 or bfloat16
 * @param steps - one a sample
 * @returns [B, L, 4C], float32
 */
export function sdeMean(x: Tensor, velocity: Tensor, steps: readonly SdeStep[]): Tensor {
  return combine(x, velocity, { x: steps.map((s) => s.x), y: steps.map((s) => s.v) });
}

/** `mean + std noise`; where no sample has noise, `mean` itself. */
export function sdeMove(mean: Tensor, noise: () => Tensor, steps: readonly SdeStep[]): Tensor {
  if (steps.every(({ std }) => std === 0)) return mean;
  return combine(mean, noise(), { x: 1, y: steps.map(({ std }) => std) });
}

/**
 * The log density of steps that were made, [B] float32, as the mean over a sample's elements: both
 * official codes take the mean, not the sum, which is why their clip ranges are near 1e-4.
 *
 * @param next - where the step ended, [B, L, 4C] float32
 * @param steps - one a sample, each with noise
 */
export function sdeLogDensity(next: Tensor, mean: Tensor, steps: readonly SdeStep[]): Tensor {
  return gaussianLogDensity(next, mean, { std: steps.map(({ densityStd }) => densityStd) });
}
