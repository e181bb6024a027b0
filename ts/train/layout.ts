// How a run keeps its weights' gradients, where that is not as its precision has it.
import { isModulation } from "../models/flux/parameters.js";
import { SrpoError } from "../native/error.js";
import type { ParameterSetOptions } from "../nn/parameter_set.js";
import type { TrainConfig } from "./config.js";

/** @throws SrpoError ERR_CONFIG for gradients that do not go with the rest */
export function checkLayout(
  { precision, gradDtype, modulationGradients, loraRank, zero, batch }: TrainConfig,
  ranks: number,
): void {
  if (gradDtype === "bfloat16" && precision === "f32")
    throw new SrpoError(
      "ERR_CONFIG",
      "gradDtype: expected float32 with precision f32, got bfloat16",
    );
  // Every rank joins in the sums of each backward, of which it knows by its own.
  if (zero === 2 && batch < ranks)
    throw new SrpoError(
      "ERR_CONFIG",
      `zero: expected 1 where some of ${ranks} ranks have none of a batch of ${batch}, got 2`,
    );
  if (modulationGradients === "full") return;
  if (loraRank > 0)
    throw new SrpoError(
      "ERR_CONFIG",
      "modulationGradients: expected full with a LoRA, got factors",
    );
}

/** Of a model whose weights are all trained. */
export function gradientOptions({
  gradDtype,
  modulationGradients,
}: TrainConfig): Pick<ParameterSetOptions, "gradDtype" | "factored"> {
  return {
    gradDtype,
    factored: modulationGradients === "factors" ? isModulation : undefined,
  };
}
