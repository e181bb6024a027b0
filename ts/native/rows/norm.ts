import type { Handle } from "../handle.js";

/** What cpp/binding/norm.cpp registers. */
export interface NormRows {
  groupNormForward(
    x: Handle,
    w: Handle,
    b: Handle,
    statistics: Handle | null,
    groups: number,
    eps: number,
    silu: boolean,
  ): [y: Handle, mean: Handle, rstd: Handle];
  /** Adds to dw and db. */
  groupNormBackward(
    dw: Handle | null,
    db: Handle | null,
    dy: Handle,
    x: Handle,
    w: Handle,
    b: Handle,
    mean: Handle,
    rstd: Handle,
    silu: boolean,
    wantsDx: boolean,
  ): Handle | null;
  modulatedLayerNormForward(
    x: Handle,
    scale: Handle,
    shift: Handle,
    eps: number,
  ): [y: Handle, mean: Handle, rstd: Handle];
  modulatedLayerNormBackward(
    dy: Handle,
    x: Handle,
    scale: Handle,
    mean: Handle,
    rstd: Handle,
  ): [dx: Handle, dscale: Handle, dshift: Handle];
  layerNormForward(
    x: Handle,
    w: Handle | null,
    b: Handle | null,
    eps: number,
  ): [y: Handle, mean: Handle, rstd: Handle];
  /** Adds to dw and db. */
  layerNormBackward(
    dw: Handle | null,
    db: Handle | null,
    dy: Handle,
    x: Handle,
    w: Handle | null,
    mean: Handle,
    rstd: Handle,
    wantsDx: boolean,
  ): Handle | null;
  rmsNormForward(x: Handle, w: Handle | null, eps: number): [y: Handle, rstd: Handle];
  /** Adds to dw. */
  rmsNormBackward(
    dw: Handle | null,
    dy: Handle,
    x: Handle,
    w: Handle | null,
    rstd: Handle,
    wantsDx: boolean,
  ): Handle | null;
}
