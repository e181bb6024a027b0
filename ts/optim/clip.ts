import { SrpoError } from "../native/error.js";
import { clip, concat, factoredNorm, globalNorm } from "../ops/index.js";
import { tidy } from "../tensor/scope.js";
import type { Tensor } from "../tensor/tensor.js";
import { rowsOf, type FactoredWeights } from "./factored.js";
import { gradientsOf, type FlatParameters } from "./flat_parameters.js";

/**
 * The L2 norm of all gradients, to log and to give to `AdamW.step`, which clips by it as it updates.
 *
 * @returns [1], float32, on the device; nothing waits for it
 */
export function gradNorm(parameters: FlatParameters): Tensor {
  const gradients = gradientsOf(parameters, "gradNorm");
  const { factored = [], weights } = parameters;
  if (factored.length === 0) return denseNorm(parameters, gradients);
  return tidy(() => {
    const norms = factoredNorms(factored, weights);
    const dense = gradients.size > 0 ? [denseNorm(parameters, gradients)] : [];
    return globalNorm(concat([...dense, ...norms], 0));
  });
}

/** The norm of what has a buffer, of which nothing is read whose squares are known. */
function denseNorm({ squares }: FlatParameters, gradients: Tensor): Tensor {
  if (squares === undefined) return globalNorm(gradients);
  return globalNorm(gradients, {
    squares: squares.sums,
    ranges: squares.unknown(gradients.size),
  });
}

/** The norms of what is factored, [1] each. */
export function factoredNorms(factored: readonly FactoredWeights[], weights: Tensor): Tensor[] {
  return factored.map((part) => {
    const { dy, x } = rowsOf(part, weights);
    return factoredNorm(dy, x);
  });
}

/**
 * Scales all gradients by `maxNorm / (norm + 1e-6)` where that is below 1, in place. `AdamW.step` with
 * `maxGradNorm` does the same without the pass over the gradients.
 *
 * @returns [1], float32: the norm before clipping
 * @see torch.nn.utils.clip_grad_norm_
 */
export function clipGradNorm(parameters: FlatParameters, maxNorm: number): Tensor {
  const gradients = gradientsOf(parameters, "clipGradNorm");
  if (parameters.factored !== undefined && parameters.factored.length > 0)
    throw new SrpoError(
      "ERR_CONFIG",
      "clipGradNorm: expected gradients in a buffer, got factored ones: AdamW.step clips them",
    );
  const norm = globalNorm(gradients);
  clip(gradients, norm, maxNorm);
  parameters.squares?.loseAll();
  return norm;
}
