import { release } from "../tensor/scope.js";
import { zeros, type SquareSink, type Tensor } from "../tensor/tensor.js";
import type { Device } from "../tensor/device.js";
import type { ParameterRange } from "./parameter_set.js";

/** The blocks of a matrix whose squares a product sums up: kSquareRows and kSquareColumns of cpp/ops/gemm. */
const [blockRows, blockColumns] = [16, 64];

/** Matrices of fewer rows or columns are left to the norm: their products are none that have them at hand. */
const leastSide = 64;

interface Matrix {
  readonly range: ParameterRange;
  /** Of its blocks, among all sums. */
  readonly first: number;
  readonly rows: number;
  readonly columns: number;
  /** Nothing but products that leave their sums has added to its gradient since `reset`. */
  known: boolean;
}

/**
 * What the norm of a flat gradient need not read: of each matrix the sums of the squares of its blocks, which the
 * products that add to its gradient write anew each time. A matrix to which something else adds is left to the
 * norm until the next `reset`.
 */
export class GradientSquares {
  /** [n], float32; zero for what is not known. */
  readonly sums: Tensor;
  readonly #matrices: ReadonlyMap<ParameterRange, Matrix>;
  readonly #views: Tensor[] = [];

  private constructor(matrices: readonly Matrix[], size: number, device: Device) {
    this.#matrices = new Map(matrices.map((matrix) => [matrix.range, matrix]));
    this.sums = release(zeros([size], { device }));
  }

  /** @returns undefined where none of the parameters is a matrix that is large enough */
  static create(ranges: readonly ParameterRange[], device: Device): GradientSquares | undefined {
    let size = 0;
    const matrices = ranges.flatMap((range): Matrix[] => {
      const [N = 0, K = 0, ...rest] = range.parameter.shape;
      if (rest.length > 0 || N < leastSide || K < leastSide) return [];
      const [rows, columns] = [Math.ceil(N / blockRows), Math.ceil(K / blockColumns)];
      const first = size;
      size += rows * columns;
      return [{ range, first, rows, columns, known: true }];
    });
    return size === 0 ? undefined : new GradientSquares(matrices, size, device);
  }

  /** Of rows [start, start + count) of a parameter, as a leaf; undefined for what is left to the norm anyway. */
  sinkOf(range: ParameterRange, start: number, count: number): SquareSink | undefined {
    const matrix = this.#matrices.get(range);
    if (matrix === undefined) return undefined;
    const end = start + count;
    const ofBlocks =
      start % blockRows === 0 && (end % blockRows === 0 || end === range.parameter.shape[0]);
    const view = ofBlocks ? this.#view(matrix, start, end) : undefined;
    return {
      get handle() {
        return matrix.known ? view?.handle : undefined;
      },
      lose: () => this.#lose(matrix),
    };
  }

  #view({ first, columns }: Matrix, start: number, end: number): Tensor {
    const rows = Math.ceil((end - start) / blockRows);
    const view = release(this.sums.viewOf(first + (start / blockRows) * columns, [rows, columns]));
    this.#views.push(view);
    return view;
  }

  #lose(matrix: Matrix): void {
    if (!matrix.known) return;
    matrix.known = false;
    const { first, rows, columns } = matrix;
    this.sums.viewOf(first, [rows * columns]).zero();
  }

  /** Nothing is known of gradients that something has changed: until `reset` all of them are read. */
  loseAll(): void {
    for (const matrix of this.#matrices.values()) this.#lose(matrix);
  }

  /** The gradients are zero. */
  reset(): void {
    this.sums.zero();
    for (const matrix of this.#matrices.values()) matrix.known = true;
  }

  /** Begin and count of each range of the flat gradient, of `size` elements, that is to be read. */
  unknown(size: number): number[] {
    const ranges: number[] = [];
    let end = 0;
    const until = (next: number) => {
      if (next > end) ranges.push(end, next - end);
    };
    for (const { known, range } of this.#matrices.values()) {
      if (!known) continue;
      until(range.offset);
      end = range.offset + range.size;
    }
    until(size);
    return ranges;
  }

  dispose(): void {
    for (const view of this.#views) view.dispose();
    this.sums.dispose();
  }
}
