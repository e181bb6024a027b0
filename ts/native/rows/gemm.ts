import type { Handle } from "../handle.js";

/** What cpp/binding/gemm.cpp registers. */
export interface GemmRows {
  /** y is `into`, where it is given: the last columns of its rows are written. */
  linearForward(
    x: Handle,
    w: Handle,
    b: Handle | null,
    residual: Handle | null,
    gate: Handle | null,
    act: string,
    save: boolean,
    into: Handle | null,
  ): [y: Handle, pre: Handle | null];
  /**
   * dw and db (float32) are added to. With inputPre, x is inputAct of it, and dx is its gradient. With `split`
   * dx and inputPre are of the columns behind so many, and dxBefore is of those.
   */
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
    squares: Handle | null,
    split: number,
  ): [dx: Handle | null, dgate: Handle | null, dxBefore: Handle | null];
  /** The same of two calls, with the arguments of each; on a card one launch where it can be. */
  linearPairForward(
    first: Readonly<Parameters<GemmRows["linearForward"]>>,
    second: Readonly<Parameters<GemmRows["linearForward"]>>,
  ): [y: Handle, pre: Handle | null, y: Handle, pre: Handle | null];
  linearPairBackward(
    first: Readonly<Parameters<GemmRows["linearBackward"]>>,
    second: Readonly<Parameters<GemmRows["linearBackward"]>>,
  ): [
    dx: Handle | null,
    dgate: Handle | null,
    dxBefore: Handle | null,
    dx: Handle | null,
    dgate: Handle | null,
    dxBefore: Handle | null,
  ];
  matmulForward(a: Handle, b: Handle, transposeA: boolean, transposeB: boolean): Handle;
}
