// A stochastic rollout, as it must be kept: where the trained steps began and ended, and their log
// densities under the policy that made them.
import { asRecorded, noGrad } from "../../autograd/tape.js";
import { concat, slice } from "../../ops/index.js";
import type { VelocityAt } from "../../sampler/denoise.js";
import { sdeLogDensity, sdeMean, sdeMove } from "../../sampler/sde.js";
import { synchronize } from "../../tensor/device.js";
import { tensorScope } from "../../tensor/scope.js";
import type { Tensor } from "../../tensor/tensor.js";
import type { PicturePlan } from "./plan.js";

export interface Rollout {
  /** x_0 (pure noise) to x_n, [B, L, 4C] float32; those that no trained step touches are left out. */
  states: readonly (Tensor | undefined)[];
  /** x_n. */
  end: Tensor;
  /** Of step i and sample b, [i][b]: float32, as a later log density is; of noisy steps alone. */
  logDensities: readonly (Float32Array | undefined)[];
}

/**
 * Rolls out B pictures side by side, without a tape. Waits once a model call, with at most two in flight.
 *
 * @param start - [B, L, 4C] float32, pure noise; not freed
 * @param plans - one a sample, on one schedule
 * @param drawNoise - of step i, [B, L, 4C] float32
 * @returns tensors in the caller's scope
 */
export async function stochasticRollout(
  velocity: VelocityAt,
  start: Tensor,
  plans: readonly PicturePlan[],
  drawNoise: (i: number) => Tensor,
): Promise<Rollout> {
  const kept = new Set(plans.flatMap(({ trained }) => trained.flatMap((i) => [i, i + 1])));
  const states: (Tensor | undefined)[] = [kept.has(0) ? start : undefined];
  const logDensities: Promise<Float32Array | undefined>[] = [];
  const count = plans[0]!.steps.length;
  let x = start;
  let pending: Promise<void> = Promise.resolve();
  for (let i = 0; i < count; ++i) {
    const steps = plans.map((plan) => plan.steps[i]!);
    const next = asRecorded(() => {
      using scope = tensorScope();
      const mean = sdeMean(x, velocity(x, steps[0]!.from), steps);
      const moved = sdeMove(mean, () => drawNoise(i), steps);
      const noisy = steps.some(({ std }) => std > 0);
      const density = noisy ? sdeLogDensity(moved, mean, steps).read() : Promise.resolve(undefined);
      // If the next call throws, nobody awaits this one.
      density.catch(() => undefined);
      logDensities.push(density);
      return scope.keep(moved);
    });
    if (x !== start && !kept.has(i)) x.dispose();
    x = next;
    states.push(kept.has(i + 1) ? x : undefined);
    await pending;
    pending = synchronize(start.device);
    pending.catch(() => undefined);
  }
  await pending;
  return { states, end: x, logDensities: await Promise.all(logDensities) };
}

/** Each sample's row of the state that it names: [B, L, 4C]. */
export function rowsOf(states: Rollout["states"], indices: readonly number[]): Tensor {
  if (indices.every((i) => i === indices[0])) return states[indices[0]!]!;
  return noGrad(() =>
    concat(
      indices.map((i, b) => slice(states[i]!, 0, b, 1)),
      0,
    ),
  );
}
