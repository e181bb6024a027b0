import type { FluxPolicy } from "../methods/flux_policy.js";
import type { Policy } from "../methods/method.js";
import type { Flux } from "../models/flux/model.js";
import { openFluxMasters } from "../models/open.js";
import { loadTransformer } from "../models/pipeline/load.js";
import { partPlace } from "../models/pipeline/places.js";
import type { Lora } from "../nn/lora.js";
import type { Device } from "../tensor/device.js";
import { tensorScope } from "../tensor/scope.js";
import { zeros, type Tensor } from "../tensor/tensor.js";
import type { TrainConfig } from "./config.js";

/**
 * The transformer that a run starts from, frozen, whatever checkpoint it goes on from: with the very
 * weights that training begins with.
 */
export async function loadReference(
  { model, base, rounding }: TrainConfig,
  options: { dtype: "float32" | "bfloat16"; device: Device },
): Promise<Flux> {
  const place = { model: model!, base };
  const reference = await loadTransformer(place, options);
  try {
    if (options.dtype === "bfloat16" && rounding === "remainder") {
      // A trained weight is its float32 master rounded with ties away from zero; a loaded one, to even.
      using scope = tensorScope();
      void scope;
      const { shape } = reference.parameters.weights;
      const remainder = zeros([...shape, 2], { dtype: "uint8", device: options.device });
      await openFluxMasters(partPlace(place, "transformer"), reference, remainder);
    }
    return reference;
  } catch (error) {
    reference.dispose();
    throw error;
  }
}

/**
 * The model that a LoRA's training starts from: the same weights with nothing of the LoRA, by the same path, so that
 * at the start both are the same to the bit.
 */
export class WithoutLora implements Policy {
  constructor(
    readonly policy: FluxPolicy,
    readonly lora: Lora,
  ) {}

  velocity(...args: Parameters<Policy["velocity"]>): Tensor {
    const { lora } = this;
    const { strength } = lora;
    lora.strength = 0;
    try {
      return this.policy.velocity(...args);
    } finally {
      lora.strength = strength;
    }
  }
}
