import type { Handle } from "../handle.js";

/** What cpp/binding/layout.cpp registers. */
export interface LayoutRows {
  concatForward(xs: readonly Handle[], dim: number): Handle;
  sliceForward(x: Handle, dim: number, start: number, length: number): Handle;
  sliceBackward(dy: Handle, shapeOfX: readonly number[], dim: number, start: number): Handle;
  gatherRowsForward(x: Handle, index: readonly number[]): Handle;
  gatherRowsBackward(dy: Handle, index: readonly number[], rows: number): Handle;
  prependRowForward(x: Handle, row: Handle): Handle;
  /** Adds to drow. */
  prependRowBackward(drow: Handle | null, dy: Handle, wantsDx: boolean): Handle | null;
  addRowsForward(x: Handle, rows: Handle): Handle;
  /** Adds to drows. */
  addRowsBackward(drows: Handle, dy: Handle): void;
}
