import { dequantizeRows, quantizeRows } from "../ops/index.js";
import type { Device } from "../tensor/device.js";
import { release, tensorScope } from "../tensor/scope.js";
import { zeros, type Tensor } from "../tensor/tensor.js";
import { sizeOf, type Parameter } from "./parameter.js";

interface Place {
  readonly columns: number;
  readonly rows: number;
  /** First element among the codes, and first row among the scales. */
  readonly start: number;
  readonly firstRow: number;
}

/**
 * Frozen matrices as 8-bit floats with a scale a row: half of bfloat16's memory, each number at most 1/16 off.
 * One is whole only while it is used: `rows` makes it anew in the scope of the caller.
 */
export class CodedMatrices {
  readonly #codes: Tensor;
  readonly #scales: Tensor;
  readonly #places = new Map<string, Place>();

  constructor(
    parameters: readonly Parameter[],
    readonly dtype: "float32" | "bfloat16",
    readonly device: Device,
  ) {
    let [start, firstRow] = [0, 0];
    for (const { name, shape } of parameters) {
      const [rows = 0, columns = 0] = shape;
      this.#places.set(name, { rows, columns, start, firstRow });
      // Each begins at a multiple of 16 bytes.
      start += Math.ceil(sizeOf(shape) / 16) * 16;
      firstRow += rows;
    }
    this.#codes = release(zeros([start], { dtype: "uint8", device }));
    this.#scales = release(zeros([firstRow], { device }));
  }

  /** Bytes of codes and scales. */
  get bytes(): number {
    return this.#codes.size + 4 * this.#scales.size;
  }

  has(name: string): boolean {
    return this.#places.has(name);
  }

  /** Columns of a matrix. */
  columns(name: string): number {
    return this.#places.get(name)!.columns;
  }

  #views(name: string, start: number, count: number): { codes: Tensor; scales: Tensor } {
    const place = this.#places.get(name)!;
    return {
      codes: this.#codes.viewOf(place.start + start * place.columns, [count, place.columns]),
      scales: this.#scales.viewOf(place.firstRow + start, [count]),
    };
  }

  /** A matrix, [rows, columns], a tensor of its own in `dtype`. */
  matrix(name: string): Tensor {
    return this.rows(name, 0, this.#places.get(name)!.rows);
  }

  /** Rows of a matrix, [count, columns], a tensor of its own in `dtype`. */
  rows(name: string, start: number, count: number): Tensor {
    const { codes, scales } = this.#views(name, start, count);
    return dequantizeRows(codes, scales, this.dtype);
  }

  /** Sets rows from numbers, [count, columns]. */
  setRows(name: string, start: number, values: Tensor): void {
    using scope = tensorScope();
    void scope;
    const { codes, scales } = this.#views(name, start, values.dim(0));
    quantizeRows(values, codes, scales);
  }

  dispose(): void {
    this.#codes.dispose();
    this.#scales.dispose();
  }
}
