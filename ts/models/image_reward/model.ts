import { linearLayer } from "../../nn/layers.js";
import { ParameterSet, type ParameterSetOptions } from "../../nn/parameter_set.js";
import { affine, gatherRows, resizeCropNormalize } from "../../ops/index.js";
import type { Tensor } from "../../tensor/tensor.js";
import { clipMean, clipStd } from "../clip/config.js";
import type { TowerOptions } from "../clip/layers.js";
import type { TokenIds } from "../token_ids.js";
import type { ImageRewardConfig } from "./config.js";
import { imageTokens, textHidden } from "./layers.js";
import { headNumbers, imageRewardParameters } from "./parameters.js";

/** Of the head's output over the authors' data, by which the published score is normalised (models.md 12). */
const scoreMean = 0.16717362830052426;
const scoreStd = 1.0333394966054072;

/** Tokens of a text in ImageReward's own use. */
export const imageRewardTextLength = 35;

/**
 * ImageReward: BLIP reads the picture, its BERT the prompt and the picture's tokens, and linear layers score the
 * first token; mean 0 and deviation 1 over the authors' data.
 *
 * @see THUDM/ImageReward; arXiv:2304.05977 sec. 3
 */
export class ImageReward {
  readonly config: ImageRewardConfig;
  readonly parameters: ParameterSet;

  constructor(config: ImageRewardConfig, options: ParameterSetOptions = {}) {
    this.config = config;
    this.parameters = ParameterSet.create(imageRewardParameters(config), options);
  }

  /** Images [B, H, W, 3] in [0, 1] as the encoder wants them, [B, size, size, 3]; see `resizeCropNormalize`. */
  preprocess(image: Tensor): Tensor {
    const { imageSize } = this.config.vision;
    return resizeCropNormalize(image, { size: imageSize, mean: clipMean, std: clipStd });
  }

  /**
   * @param pixels - [B, size, size, 3], normalised
   * @param ids - a text an image, all padded to one length
   * @param options.mask - 1 for tokens, 0 for padding
   * @returns [B, width], the text's first token, which has seen the picture
   */
  encode(
    pixels: Tensor,
    ids: TokenIds,
    { mask, ...options }: TowerOptions & { mask?: TokenIds } = {},
  ): Tensor {
    const { parameters: w, config } = this;
    const image = imageTokens(w, config.vision, pixels, options);
    const hidden = textHidden(w, config.text, image, { ids, mask }, options);
    return gatherRows(
      hidden,
      ids.map(() => 0),
    );
  }

  /** The head on a first token [B, width]: the published, normalised score [B, 1]. */
  score(first: Tensor): Tensor {
    const raw = headNumbers.reduce(
      (x, n) => linearLayer(this.parameters, `mlp.layers.${n}`, x),
      first,
    );
    return affine(raw, 1 / scoreStd, -scoreMean / scoreStd);
  }

  dispose(): void {
    this.parameters.dispose();
  }
}
