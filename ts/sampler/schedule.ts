import { SrpoError } from "../native/error.js";
import { linspace } from "./float32.js";

const f = Math.fround;

/**
 * The static time shift `s t / (1 + (s - 1) t)` of linspace(1, 0, steps + 1): the sigmas of a sampler of
 * `steps` Euler steps, the last one 0. Every operation is rounded to float32.
 *
 * @param steps - 1 or more
 * @param shift - 3 in SRPO and DanceGRPO
 * @see methods.md 0.2; Tencent-Hunyuan/SRPO, sd3_time_shift
 */
export function shiftedSigmas(steps: number, shift: number): Float32Array {
  if (!Number.isInteger(steps) || steps < 1)
    throw new SrpoError(
      "ERR_CONFIG",
      `sigmas: steps: expected a whole number above 0, got ${steps}`,
    );
  return linspace(1, 0, steps + 1).map((t) => f(f(f(shift) * t) / f(1 + f(f(f(shift) - 1) * t))));
}

export interface FlowMatchSchedule {
  /** Of the static shift; 3 for FLUX.1-dev (unused when dynamic), 1 for schnell. */
  shift: number;
  useDynamicShifting: boolean;
  baseShift: number;
  maxShift: number;
  baseImageSeqLen: number;
  maxImageSeqLen: number;
}

/** scheduler/scheduler_config.json of FLUX.1-dev. */
export const fluxDevSchedule: FlowMatchSchedule = {
  shift: 3,
  useDynamicShifting: true,
  baseShift: 0.5,
  maxShift: 1.15,
  baseImageSeqLen: 256,
  maxImageSeqLen: 4096,
};

/** mu on the line through (256, 0.5) and (4096, 1.15), extrapolated beyond. */
export function dynamicMu(schedule: FlowMatchSchedule, imageSeqLen: number): number {
  const slope =
    (schedule.maxShift - schedule.baseShift) / (schedule.maxImageSeqLen - schedule.baseImageSeqLen);
  return slope * imageSeqLen + schedule.baseShift - slope * schedule.baseImageSeqLen;
}

/**
 * The inference sigmas of diffusers' FlowMatchEulerDiscreteScheduler: linspace(1, 1/n, n) shifted, then 0.
 *
 * @param mu - of the dynamic shift; `dynamicMu` for an image's number of tokens
 */
export function inferenceSigmas(
  steps: number,
  schedule: FlowMatchSchedule,
  mu: number | undefined,
): Float32Array {
  const sigmas = new Float32Array(steps + 1);
  for (let i = 0; i < steps; ++i) {
    // numpy's linspace in float64, then float32.
    const t = f(
      steps === 1 ? 1 : i === steps - 1 ? 1 / steps : 1 + i * ((1 / steps - 1) / (steps - 1)),
    );
    sigmas[i] =
      schedule.useDynamicShifting && mu !== undefined
        ? f(Math.exp(mu) / (Math.exp(mu) + f(f(1 / t) - 1)))
        : f((schedule.shift * t) / (1 + (schedule.shift - 1) * t));
  }
  return sigmas;
}

/** The schedule of black-forest-labs/flux: the dynamic map over linspace(1, 0, n + 1). */
export function bflSigmas(steps: number, imageSeqLen: number): Float32Array {
  const mu = dynamicMu(fluxDevSchedule, imageSeqLen);
  return linspace(1, 0, steps + 1).map((t) =>
    t === 0 ? 0 : f(Math.exp(mu) / (Math.exp(mu) + (1 / t - 1))),
  );
}
