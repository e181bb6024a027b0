import type { Handle } from "../handle.js";

/** What cpp/binding/elementwise.cpp registers. */
export interface ElementwiseRows {
  /** into (float32) += from */
  accumulate(into: Handle, from: Handle): void;
  addForward(a: Handle, b: Handle): Handle;
  cast(x: Handle, dtype: string): Handle;
  subForward(a: Handle, b: Handle): Handle;
  mulForward(a: Handle, b: Handle): Handle;
  siluForward(x: Handle): Handle;
  siluBackward(dy: Handle, x: Handle): Handle;
  geluTanhForward(x: Handle): Handle;
  geluTanhBackward(dy: Handle, x: Handle): Handle;
  geluErfForward(x: Handle): Handle;
  geluErfBackward(dy: Handle, x: Handle): Handle;
  quickGeluForward(x: Handle): Handle;
  quickGeluBackward(dy: Handle, x: Handle): Handle;
  reluForward(x: Handle): Handle;
  reluBackward(dy: Handle, x: Handle): Handle;
  expForward(x: Handle): Handle;
  expBackward(dy: Handle, x: Handle): Handle;
  clampForward(x: Handle, lo: number, hi: number): Handle;
  clampBackward(dy: Handle, x: Handle, lo: number, hi: number): Handle;
  affineForward(x: Handle, a: number, b: number): Handle;
  scaleForward(x: Handle, s: number): Handle;
  gatedResidualForward(x: Handle, gate: Handle, y: Handle): Handle;
  gatedResidualBackward(
    dout: Handle,
    gate: Handle,
    y: Handle,
    wantsDgate: boolean,
    wantsDy: boolean,
  ): [dgate: Handle | null, dy: Handle | null];
  combineForward(
    x: Handle,
    y: Handle | null,
    cx: readonly number[],
    cy: readonly number[],
    dtype: string,
  ): Handle;
  timestepEmbedding(t: readonly number[], dim: number, dtype: string, device: string): Handle;
  /** Every element of t = value */
  fill(t: Handle, value: number): void;
}
