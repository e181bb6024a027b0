import type { FluxConfig } from "../models/flux/config.js";
import { loraParts } from "../models/lora/layers.js";
import type { TrainConfig } from "../train/config.js";

/** Weights of a run's LoRA: rank (inputs + outputs) of each layer that it changes. */
export function loraCount(
  config: FluxConfig,
  { loraRank: rank, loraLayers: layers }: Pick<TrainConfig, "loraRank" | "loraLayers">,
): number {
  const parts = loraParts(config, { rank, layers });
  return parts.reduce((sum, { rows, inputs }) => sum + rank * (rows + inputs), 0);
}
