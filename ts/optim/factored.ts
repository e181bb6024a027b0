// Gradients that are kept as factors: put together once an update, for the norm and for the optimizer.
import type { FactorRows, GradientFactors } from "../autograd/factors.js";
import { noGrad } from "../autograd/tape.js";
import { concat } from "../ops/index.js";
import type { Communicator } from "../ranks/communicator.js";
import { gatherValues } from "../ranks/gather.js";
import { release } from "../tensor/scope.js";
import { zeros, type Tensor } from "../tensor/tensor.js";

/** A matrix of the flat weights whose gradient is kept as factors. */
export interface FactoredWeights {
  readonly parameter: { readonly name: string; readonly shape: readonly number[] };
  /** In elements of the flat weights: a multiple of `momentBlock`, behind all gradients that have a buffer. */
  readonly offset: number;
  readonly size: number;
  /** Place of its first element in the matrix, row by row, where a shard begins within; default 0. */
  readonly start?: number;
  readonly factors: GradientFactors;
}

/** What of the matrices lies in elements [first, first + count) of the flat weights, at places counted from there. */
export function factoredWithin(
  factored: readonly FactoredWeights[],
  first: number,
  count: number,
): FactoredWeights[] {
  return factored.flatMap((one) => {
    const begin = Math.max(one.offset, first);
    const size = Math.min(one.offset + one.size, first + count) - begin;
    return size > 0 ? [{ ...one, offset: begin - first, size, start: begin - one.offset }] : [];
  });
}

/**
 * The rows of all ranks in the place of one's own, in the order of the ranks: the gradient of all samples. All
 * ranks call it.
 */
export async function gatherRows(
  factored: readonly FactoredWeights[],
  weights: Tensor,
  communicator: Communicator,
): Promise<void> {
  const { dtype, device } = weights;
  const own = factored.map((one) => rowsOf(one, weights));
  const counts = own.map(({ dy }) => dy.dim(0));
  const all = await gatherValues(communicator, device, counts);
  for (const [i, { factors }] of factored.entries()) {
    // Every rank gives as many as the one that has most; a row of zeros adds nothing.
    const most = Math.max(...all.map((theirs) => theirs[i]!));
    const gathered = (part: Tensor): Tensor => {
      const [rows, width] = [part.dim(0), part.dim(1)];
      const rest = zeros([Math.max(most - rows, 1), width], { dtype, device });
      const padded = rows < most ? noGrad(() => concat([part, rest], 0)) : part;
      const together = release(zeros([communicator.size * most, width], { dtype, device }));
      communicator.allGather(padded, together);
      return together;
    };
    const { dy, x } = own[i]!;
    const rows = { dy: gathered(dy), x: gathered(x) };
    factors.replace(rows);
  }
}

/** All rows of the gradient in one pair of tensors, which the factors then hold; a row of zeros for none. */
export function rowsOf({ parameter, factors }: FactoredWeights, weights: Tensor): FactorRows {
  const { parts } = factors;
  if (parts.length === 1) return parts[0]!;
  const { dtype, device } = weights;
  const [N = 1, K = 1] = parameter.shape;
  const together = (one: "dy" | "x", width: number) =>
    release(
      parts.length === 0
        ? zeros([1, width], { dtype, device })
        : noGrad(() =>
            concat(
              parts.map((part) => part[one]),
              0,
            ),
          ),
    );
  const rows = { dy: together("dy", N), x: together("x", K) };
  factors.replace(rows);
  return rows;
}
