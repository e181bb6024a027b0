import type { Handle } from "../handle.js";

/** What cpp/binding/conv.cpp registers. */
export interface ConvRows {
  /** Statistics [B, groups, 2] (mean, variance) of y's groups, if groups are given. */
  conv2dForward(
    x: Handle,
    w: Handle,
    b: Handle | null,
    residual: Handle | null,
    stride: number,
    padding: readonly number[],
    upsample: boolean,
    groups: number | null,
  ): [y: Handle, statistics: Handle | null];
  /** Adds to dw and db (float32); dx if wanted. */
  conv2dBackward(
    dy: Handle,
    x: Handle,
    w: Handle,
    dw: Handle | null,
    db: Handle | null,
    wantsDx: boolean,
    stride: number,
    padding: readonly number[],
    upsample: boolean,
  ): Handle | null;
}
