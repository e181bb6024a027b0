// Which layers of a FLUX a LoRA that is trained here changes.
import type { LoraPart } from "../../nn/lora.js";
import { SrpoError } from "../../native/error.js";
import { hiddenSize, type FluxConfig } from "../flux/config.js";
import { fluxParameters } from "../flux/parameters.js";

/** What `loraLayers` may name. */
export const loraLayerNames = ["attention", "mlp", "modulation"] as const;
export type LoraLayers = (typeof loraLayerNames)[number];

const inDoubleBlock: Readonly<Record<string, LoraLayers>> = {
  attn: "attention",
  mlp: "mlp",
  mod: "modulation",
};

/** @throws SrpoError ERR_CONFIG for a name that is none */
function checked(layers: readonly string[]): Set<LoraLayers> {
  const known: readonly string[] = loraLayerNames;
  const other = layers.find((name) => !known.includes(name));
  if (other !== undefined)
    throw new SrpoError(
      "ERR_CONFIG",
      `loraLayers: expected some of ${loraLayerNames.join(", ")}, got ${other}`,
    );
  return new Set(layers as LoraLayers[]);
}

/**
 * The parts of a LoRA of this rank on the blocks' layers: `attention` is q, k, v (adapted as one) and the projection
 * of what comes out, `mlp` the two layers of each MLP, `modulation` what the timestep is read by. A single block's
 * first layer is q, k, v and the MLP's first in one, and so adapted as one where both are; its second is of both.
 *
 * @param options.alpha - default the rank, so that the factor is 1
 * @throws SrpoError ERR_CONFIG
 */
export function loraParts(
  config: FluxConfig,
  {
    rank,
    alpha = rank,
    layers = ["attention", "mlp"],
  }: { rank: number; alpha?: number | undefined; layers?: readonly string[] },
): LoraPart[] {
  const chosen = checked(layers);
  const factor = alpha / rank;
  const D = hiddenSize(config);
  return fluxParameters(config).flatMap(({ name: weight, shape }): LoraPart[] => {
    const [all = 0, inputs = 0] = shape;
    const part = (row: number, rows: number) => [{ weight, row, rows, inputs, rank, factor }];
    const [, double] =
      /^double_blocks\.\d+\.(?:img|txt)_(attn|mlp|mod)\.\w+\.weight$/.exec(weight) ?? [];
    if (double !== undefined) return chosen.has(inDoubleBlock[double]!) ? part(0, all) : [];
    const [, single] =
      /^single_blocks\.\d+\.(linear1|linear2|modulation\.lin)\.weight$/.exec(weight) ?? [];
    const [attention, mlp] = [chosen.has("attention"), chosen.has("mlp")];
    if (single === "linear1" && (attention || mlp)) {
      const row = attention ? 0 : 3 * D;
      return part(row, (mlp ? all : 3 * D) - row);
    }
    if (single === "linear2" && (attention || mlp)) return part(0, all);
    return single === "modulation.lin" && chosen.has("modulation") ? part(0, all) : [];
  });
}
