import { ParameterSet, type ParameterSetOptions } from "../../nn/parameter_set.js";
import type { Tensor } from "../../tensor/tensor.js";
import type { ClipTextConfig } from "./config.js";
import { pooledText, textTower, type TowerOptions } from "./layers.js";
import type { TokenIds } from "../token_ids.js";
import { clipTextParameters } from "./parameters.js";

/** CLIP's text tower alone: the pooled vector of FLUX. */
export class ClipText {
  readonly config: ClipTextConfig;
  readonly parameters: ParameterSet;

  constructor(config: ClipTextConfig, options: ParameterSetOptions = {}) {
    this.config = config;
    this.parameters = ParameterSet.create(clipTextParameters(config), options);
  }

  /**
   * @param ids - texts of one length, padded; FLUX passes 77 tokens and no mask
   * @returns every token after the last norm, [B, L, width], and the end token's row, [B, width]
   */
  encode(ids: TokenIds, options: TowerOptions = {}): { hidden: Tensor; pooled: Tensor } {
    const hidden = textTower(this.parameters, this.config, ids, undefined, options);
    return { hidden, pooled: pooledText(this.config, hidden, ids) };
  }

  dispose(): void {
    this.parameters.dispose();
  }
}
