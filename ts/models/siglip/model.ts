import { linearLayer } from "../../nn/layers.js";
import { ParameterSet, type ParameterSetOptions } from "../../nn/parameter_set.js";
import { l2Normalize, resizeCropNormalize } from "../../ops/index.js";
import type { Tensor } from "../../tensor/tensor.js";
import type { TowerOptions } from "../clip/layers.js";
import { siglipMean, siglipStd, type AestheticConfig } from "./config.js";
import { siglipPooled, siglipTokensOf } from "./layers.js";
import { aestheticParameters } from "./parameters.js";

/**
 * Aesthetic Predictor v2.5: a SigLIP image tower and linear layers on its pooled output, which is brought to
 * length 1. About 1 to 10; it reads no text.
 *
 * @see discus0434/aesthetic-predictor-v2-5; SigLIP, arXiv:2303.15343
 */
export class AestheticPredictor {
  readonly config: AestheticConfig;
  readonly parameters: ParameterSet;

  constructor(config: AestheticConfig, options: ParameterSetOptions = {}) {
    this.config = config;
    this.parameters = ParameterSet.create(aestheticParameters(config), options);
  }

  /** Images [B, H, W, 3] in [0, 1] stretched to the tower's square, [B, size, size, 3]; see `resizeCropNormalize`. */
  preprocess(image: Tensor): Tensor {
    const { imageSize } = this.config.tower;
    return resizeCropNormalize(image, {
      size: imageSize,
      crop: false,
      mean: siglipMean,
      std: siglipStd,
    });
  }

  /**
   * @param pixels - [B, size, size, 3], normalised
   * @returns [B, width], the tower's pooled output
   */
  encodeImage(pixels: Tensor, options: TowerOptions = {}): Tensor {
    const { parameters: w, config } = this;
    return siglipPooled(w, config.tower, siglipTokensOf(w, config.tower, pixels, options));
  }

  /** The head on a pooled output [B, width]: [B, 1]. Dropouts stand between its layers, nothing else. */
  score(pooled: Tensor): Tensor {
    return this.config.head.reduce(
      (x, _, i) => linearLayer(this.parameters, `scoring_head.${2 * i}`, x),
      l2Normalize(pooled),
    );
  }

  dispose(): void {
    this.parameters.dispose();
  }
}
