import type { AestheticPredictor } from "../models/siglip/model.js";
import { openAestheticPredictor } from "../models/open_scores.js";
import type { OpenOptions } from "../models/open.js";
import { cast, reshape } from "../ops/index.js";
import type { Tensor } from "../tensor/tensor.js";

/** Aesthetic Predictor v2.5 as a reward: how a picture looks, about 1 to 10, whatever it was to show. */
export class AestheticReward {
  readonly name = "the aesthetic predictor, which reads no text";

  constructor(readonly model: AestheticPredictor) {}

  /** Reads a SigLIP with its head; see `openAestheticPredictor`. */
  static async load(place: string, options: OpenOptions = {}): Promise<AestheticReward> {
    return new AestheticReward(await openAestheticPredictor(place, options));
  }

  /** The score of pixels that are prepared, [B, size, size, 3]: [B], float32. */
  scorePixels(pixels: Tensor): Tensor {
    const score = this.model.score(this.model.encodeImage(pixels));
    return reshape(cast(score, "float32"), [pixels.dim(0)]);
  }

  /**
   * @param image - [B, H, W, 3] in [0, 1]; the score is differentiable in it
   * @returns [B], float32
   */
  plain(image: Tensor): Tensor {
    return this.scorePixels(this.model.preprocess(image));
  }

  dispose(): void {
    this.model.dispose();
  }
}
