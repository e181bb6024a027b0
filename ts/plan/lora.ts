import { hiddenSize, type FluxConfig } from "../models/flux/config.js";
import { mlpSize } from "../models/flux/parameters.js";

/**
 * Weights of a LoRA of this rank on every attention and MLP projection of the blocks, r (in + out) each;
 * q, k and v are adapted as one.
 */
export function loraCount(config: FluxConfig, rank: number): number {
  const [D, M] = [hiddenSize(config), mlpSize(config)];
  const double = 2 * (D + 3 * D + (D + D) + (D + M) + (M + D));
  const single = D + 3 * D + M + (D + M + D);
  return rank * (config.depth * double + config.depthSingleBlocks * single);
}
