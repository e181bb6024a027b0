import { clip, globalNorm } from "../ops/index.js";
import type { Tensor } from "../tensor/tensor.js";
import { gradientsOf, type FlatParameters } from "./flat_parameters.js";

/**
 * The L2 norm of all gradients, to log and to give to `AdamW.step`, which clips by it as it updates.
 *
 * @returns [1], float32, on the device; nothing waits for it
 */
export function gradNorm(parameters: FlatParameters): Tensor {
  return globalNorm(gradientsOf(parameters, "gradNorm"));
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
  const norm = globalNorm(gradients);
  clip(gradients, norm, maxNorm);
  return norm;
}
