import type { Handle } from "../handle.js";

/** What cpp/binding/update.cpp registers. */
export interface UpdateRows {
  globalNorm(grad: Handle, squares?: Handle | null, ranges?: readonly number[]): Handle;
  factoredNorm(dy: Handle, x: Handle): Handle;
  countNonFinite(counter: Handle, norm: Handle): void;
  clip(grad: Handle, norm: Handle, maxNorm: number): void;
  splitMaster(master: Handle, weights: Handle, remainder: Handle): void;
  joinMaster(weights: Handle, remainder: Handle): Handle;
  adamwStep(
    weights: Handle,
    remainder: Handle | null,
    m: Handle,
    v: Handle,
    mScale: Handle | null,
    vScale: Handle | null,
    grad: Handle | null,
    gradNorm: Handle | null,
    skipped: Handle | null,
    lr: number,
    beta1: number,
    beta2: number,
    eps: number,
    weightDecay: number,
    maxGradNorm: number,
    step: number,
    seed: bigint | undefined,
    purpose: number,
    offset: number,
    momentSeed: bigint | undefined,
    momentPurpose: number,
    momentOffset: number,
    dy: Handle | null,
    x: Handle | null,
    first: number,
  ): void;
  emaUpdate(ema: Handle, weights: Handle, remainder: Handle | null, decay: number): void;
}
