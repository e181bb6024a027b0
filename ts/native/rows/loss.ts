import type { Handle } from "../handle.js";

/** What cpp/binding/loss.cpp registers. */
export interface LossRows {
  sumForward(x: Handle): Handle;
  sumBackward(dy: Handle, x: Handle): Handle;
  meanForward(x: Handle): Handle;
  meanBackward(dy: Handle, x: Handle): Handle;
  hingeForward(reward: Handle, margin: number, weight: number): Handle;
  hingeBackward(dy: Handle, reward: Handle, margin: number, weight: number): Handle;
  mseForward(a: Handle, b: Handle): Handle;
  mseBackward(
    dy: Handle,
    a: Handle,
    b: Handle,
    wantsDa: boolean,
    wantsDb: boolean,
  ): [da: Handle | null, db: Handle | null];
  softmaxCrossEntropyForward(logits: Handle, target: Handle): [y: Handle, lse: Handle];
  softmaxCrossEntropyBackward(dy: Handle, logits: Handle, target: Handle, lse: Handle): Handle;
  gaussianLogDensityForward(x: Handle, mean: Handle, std: readonly number[]): Handle;
  gaussianLogDensityBackward(
    dy: Handle,
    x: Handle,
    mean: Handle,
    std: readonly number[],
    wantsDx: boolean,
    wantsDmean: boolean,
  ): [dx: Handle | null, dmean: Handle | null];
}
