import type { Flux } from "../models/flux/model.js";
import { loraParts } from "../models/lora/layers.js";
import { SrpoError } from "../native/error.js";
import { initializeParameters } from "../nn/init.js";
import { Lora } from "../nn/lora.js";
import type { ParameterSetOptions } from "../nn/parameter_set.js";
import type { TrainConfig } from "./config.js";

/** @throws SrpoError ERR_CONFIG for options of a LoRA where all weights are trained */
export function checkLora({ loraRank, baseDtype }: TrainConfig): void {
  if (loraRank === 0 && baseDtype !== "precision")
    throw new SrpoError(
      "ERR_CONFIG",
      `baseDtype: expected precision where all weights are trained (loraRank 0), got ${baseDtype}`,
    );
}

/**
 * The adapter that a run trains, on its model: A normal with variance 1 / inputs, B zero, so that it begins as the
 * model is. In the model's dtype; AdamW keeps the lower bits of bfloat16 as it does of all weights.
 *
 * @throws SrpoError ERR_CONFIG for layers that are none
 */
export function newLora(
  { loraRank, loraAlpha, loraLayers, seed, gradDtype }: TrainConfig,
  { config, parameters }: Flux,
  options: Pick<ParameterSetOptions, "multiple" | "passingGradients"> = {},
): Lora {
  const parts = loraParts(config, { rank: loraRank, alpha: loraAlpha, layers: loraLayers });
  const { dtype, device } = parameters;
  const lora = new Lora(parts, { dtype, device, trainable: true, gradDtype, ...options });
  initializeParameters(lora.parameters, BigInt(seed));
  parameters.adapter = lora;
  return lora;
}
