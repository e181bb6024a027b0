import { noGrad } from "../autograd/tape.js";
import { range } from "../native/ranges.js";
import { combine } from "../ops/index.js";
import { synchronize } from "../tensor/device.js";
import { tensorScope } from "../tensor/scope.js";
import type { Tensor } from "../tensor/tensor.js";

/** A velocity field: noise minus clean, at latents x [B, L, 64] and one noise level for all of them. */
export type VelocityAt = (x: Tensor, sigma: number) => Tensor;

export interface DenoiseOptions {
  /** After each step, with the number done and the latents it gave; they are freed after the next. */
  onStep?: (done: number, latents: Tensor) => void;
}

/**
 * One Euler step of the flow, x + (to - from) v, differentiable in both.
 *
 * @param x - [B, L, 4C] float32
 * @param velocity - at x and the noise level `from`, any float dtype
 * @returns [B, L, 4C] float32
 */
export function eulerStep(x: Tensor, velocity: Tensor, from: number, to: number): Tensor {
  return combine(x, velocity, { x: 1, y: Math.fround(to - from) });
}

/**
 * Euler steps of the flow, x' = x + (sigma' - sigma) v, without a tape. The state is float32 whatever the
 * model's dtype. Waits once a model call, with at most two calls in flight.
 *
 * @param noise - [B, L, 64] float32, pure noise at sigmas[0]; not freed
 * @param sigmas - decreasing; the last is where it ends
 * @returns [B, L, 64] float32, in the caller's scope
 */
export async function denoise(
  velocity: VelocityAt,
  noise: Tensor,
  sigmas: Float32Array,
  { onStep }: DenoiseOptions = {},
): Promise<Tensor> {
  let x = noise;
  let pending: Promise<void> = Promise.resolve();
  for (let i = 0; i + 1 < sigmas.length; ++i) {
    const step = (): Tensor => {
      using scope = tensorScope();
      const [from, to] = [sigmas[i]!, sigmas[i + 1]!];
      return scope.keep(eulerStep(x, velocity(x, from), from, to));
    };
    const next = noGrad(() => range(`step ${i + 1}`, step));
    if (x !== noise) x.dispose();
    x = next;
    onStep?.(i + 1, x);
    await pending;
    pending = synchronize(noise.device);
    // If the next call throws, nobody awaits this one.
    pending.catch(() => undefined);
  }
  await pending;
  return x;
}
