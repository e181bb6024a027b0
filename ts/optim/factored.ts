// Gradients that are kept as factors: put together once an update, for the norm and for the optimizer.
import type { FactorRows, GradientFactors } from "../autograd/factors.js";
import { noGrad } from "../autograd/tape.js";
import { concat } from "../ops/index.js";
import { release } from "../tensor/scope.js";
import { zeros, type Tensor } from "../tensor/tensor.js";

/** A matrix of the flat weights whose gradient is kept as factors. */
export interface FactoredWeights {
  readonly parameter: { readonly name: string; readonly shape: readonly number[] };
  /** In elements of the flat weights: a multiple of `momentBlock`, behind all gradients that have a buffer. */
  readonly offset: number;
  readonly size: number;
  readonly factors: GradientFactors;
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
