import { native, type Handle } from "../native/binding.js";
import { Tensor, type GradientSink } from "../tensor/tensor.js";

/** The rows that some samples add to a matrix's gradient: dy [R, N] and x [R, K]. */
export interface FactorRows {
  readonly dy: Tensor;
  readonly x: Tensor;
}

/**
 * The gradient of a weight matrix [N, K] as what it is made of: rows of dy and x, whose outer products it sums
 * up. `linear` gives them instead of adding to a buffer. No scope frees them; `clear` does.
 */
export class GradientFactors implements GradientSink {
  #parts: FactorRows[] = [];

  /** In the order in which backward met them. */
  get parts(): readonly FactorRows[] {
    return this.#parts;
  }

  add(dy: Handle, x: Handle): void {
    this.#parts.push({ dy: rowsOf(dy), x: rowsOf(x) });
  }

  /** The same rows, put together. */
  replace(rows: FactorRows): void {
    this.clear();
    this.#parts = [rows];
  }

  clear(): void {
    for (const { dy, x } of this.#parts) {
      dy.dispose();
      x.dispose();
    }
    this.#parts = [];
  }
}

/** The same memory as rows of its last dimension, of no scope. */
function rowsOf(handle: Handle): Tensor {
  const shape = native.tensorShape(handle);
  const width = shape.at(-1)!;
  const rows = shape.slice(0, -1).reduce((product, n) => product * n, 1);
  const view = native.tensorView(handle, 0, [rows, width]);
  native.scopeRelease([view]);
  return new Tensor(view);
}
