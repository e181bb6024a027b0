// The best approximation of a matrix by one of low rank: subspace iteration (randomized SVD).
//
//   V random [n, l], l = rank + 8; eight times: U = orth(D V), V = orth(D^T U); then D V = Y, and the eigenvectors
//   R of Y^T Y turn both: column i of Y R is sigma_i u_i, column i of V R is v_i.
//
// The products with D are our own matmul in float32, the bases and the eigenvectors float64.
// Source: Halko, Martinsson, Tropp, arXiv:0909.4061, algorithm 4.4.
import { noGrad } from "../../autograd/tape.js";
import { matmul, purposes, randn } from "../../ops/index.js";
import { tensorScope } from "../../tensor/scope.js";
import { tensorFromBytes, type Tensor } from "../../tensor/tensor.js";

const oversampling = 8;
const iterations = 8;
const mostSweeps = 60;

/** Columns, each of equal length. */
type Columns = Float64Array[];

const dot = (x: Float64Array, y: Float64Array): number => {
  let sum = 0;
  for (let i = 0; i < x.length; ++i) sum += x[i]! * y[i]!;
  return sum;
};

/** x += s y */
function addTo(x: Float64Array, s: number, y: Float64Array): void {
  for (let i = 0; i < x.length; ++i) x[i]! += s * y[i]!;
}

/** Makes the columns orthonormal, in place, each against those before it, twice; one that depends on them becomes 0. */
function orthonormalize(columns: Columns): void {
  for (const [k, column] of columns.entries()) {
    const before = Math.sqrt(dot(column, column));
    for (let pass = 0; pass < 2; ++pass)
      for (const other of columns.slice(0, k)) addTo(column, -dot(other, column), other);
    const norm = Math.sqrt(dot(column, column));
    const scale = norm > 1e-12 * before ? 1 / norm : 0;
    for (let i = 0; i < column.length; ++i) column[i]! *= scale;
  }
}

/** Turns pairs of columns of `a` until all are orthogonal, and `v` with them (one-sided Jacobi). */
function orthogonalize(a: Columns, v: Columns): void {
  for (let sweep = 0, turned = true; turned && sweep < mostSweeps; ++sweep) {
    turned = false;
    for (let p = 0; p < a.length; ++p)
      for (let q = p + 1; q < a.length; ++q) {
        const [x, y] = [a[p]!, a[q]!];
        const [xx, yy, xy] = [dot(x, x), dot(y, y), dot(x, y)];
        if (Math.abs(xy) <= 1e-12 * Math.sqrt(xx * yy)) continue;
        turned = true;
        const zeta = (yy - xx) / (2 * xy);
        const t = (zeta < 0 ? -1 : 1) / (Math.abs(zeta) + Math.hypot(1, zeta));
        const c = 1 / Math.hypot(1, t);
        for (const [left, right] of [
          [x, y],
          [v[p]!, v[q]!],
        ] as const)
          for (let i = 0; i < left.length; ++i) {
            const [l, r] = [left[i]!, right[i]!];
            left[i] = c * (l - t * r);
            right[i] = c * (r + t * l);
          }
      }
  }
}

function toTensor(columns: Columns): Tensor {
  const [length, count] = [columns[0]!.length, columns.length];
  const rows = new Float32Array(length * count);
  for (const [k, column] of columns.entries())
    for (let i = 0; i < length; ++i) rows[i * count + k] = column[i]!;
  return tensorFromBytes(new Uint8Array(rows.buffer), [length, count], { dtype: "float32" });
}

async function toColumns(x: Tensor): Promise<Columns> {
  const [length = 0, count = 0] = x.shape;
  const values = await x.read();
  return Array.from({ length: count }, (_, k) =>
    Float64Array.from({ length }, (_, i) => values[i * count + k]!),
  );
}

/** Half of a product B A with the singular values shared out evenly. */
export interface LowRank {
  /** [rank, n] */
  readonly a: Float32Array;
  /** [m, rank] */
  readonly b: Float32Array;
}

/**
 * B A of this rank that comes as near to a matrix as any, but for what eight iterations leave.
 *
 * @param matrix - [m, n], float32, on the cpu device; rank at most the smaller of both
 * @param seed - of the start; the result hardly depends on it
 */
export async function lowRank(
  matrix: Tensor,
  { rank, seed = 0n }: { rank: number; seed?: bigint },
): Promise<LowRank> {
  using scope = tensorScope();
  void scope;
  const [m = 0, n = 0] = matrix.shape;
  const l = Math.min(rank + oversampling, m, n);
  const start = { seed, purpose: purposes.initWeights, step: 0, sample: 0 };
  let v = await toColumns(randn([n, l], start));
  orthonormalize(v);
  for (let i = 0; i < iterations; ++i) {
    const u = await toColumns(noGrad(() => matmul(matrix, toTensor(v))));
    orthonormalize(u);
    v = await toColumns(noGrad(() => matmul(matrix, toTensor(u), { transposeA: true })));
    orthonormalize(v);
  }
  const y = await toColumns(noGrad(() => matmul(matrix, toTensor(v))));
  orthogonalize(y, v);
  const sigmas = y.map((column) => Math.sqrt(dot(column, column)));
  const order = sigmas.map((_, k) => k).toSorted((p, q) => sigmas[q]! - sigmas[p]!);
  const [a, b] = [new Float32Array(rank * n), new Float32Array(m * rank)];
  for (const [to, k] of order.slice(0, rank).entries()) {
    const root = Math.sqrt(sigmas[k]!);
    if (root === 0) continue;
    for (let i = 0; i < n; ++i) a[to * n + i] = root * v[k]![i]!;
    for (let i = 0; i < m; ++i) b[i * rank + to] = y[k]![i]! / root;
  }
  return { a, b };
}
