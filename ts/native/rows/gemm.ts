import type { Handle } from "../handle.js";

/** What cpp/binding/gemm.cpp registers. */
export interface GemmRows {
  linearForward(
    x: Handle,
    w: Handle,
    b: Handle | null,
    residual: Handle | null,
    gate: Handle | null,
    act: string,
    save: boolean,
  ): [y: Handle, pre: Handle | null];
  /** dw and db (float32) are added to. With inputPre, x is inputAct of it, and dx is its gradient. */
  linearBackward(
    dy: Handle,
    x: Handle,
    w: Handle,
    pre: Handle | null,
    gate: Handle | null,
    act: string,
    dw: Handle | null,
    db: Handle | null,
    wantsDx: boolean,
    wantsDgate: boolean,
    inputPre: Handle | null,
    inputAct: string,
    squares?: Handle | null,
  ): [dx: Handle | null, dgate: Handle | null];
  matmulForward(a: Handle, b: Handle, transposeA: boolean, transposeB: boolean): Handle;
}
