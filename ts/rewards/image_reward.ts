import { existsSync } from "node:fs";
import path from "node:path";
import { imageRewardTextLength, type ImageReward } from "../models/image_reward/model.js";
import { openImageReward } from "../models/open_scores.js";
import type { OpenOptions } from "../models/open.js";
import { isFolder } from "../models/part_config.js";
import { tokenRows } from "../models/token_ids.js";
import { SrpoError } from "../native/error.js";
import { cast, reshape } from "../ops/index.js";
import type { Tensor } from "../tensor/tensor.js";
import { BertTokenizer } from "../text/bert_tokenizer.js";

/** ImageReward as a reward: a picture for its caption, mean 0 and deviation 1 over the authors' data. */
export class ImageTextReward {
  readonly name = "ImageReward, which reads picture and text as one";

  constructor(
    readonly model: ImageReward,
    readonly tokenizer: BertTokenizer,
  ) {}

  /** Reads ImageReward with bert-base-uncased's vocab.txt beside it; see `openImageReward`. */
  static async load(place: string, options: OpenOptions = {}): Promise<ImageTextReward> {
    const folder = isFolder(place) ? place : path.dirname(place);
    if (!existsSync(path.join(folder, "vocab.txt")))
      throw new SrpoError(
        "ERR_CHECKPOINT",
        `${folder}: expected vocab.txt of bert-base-uncased beside ImageReward, got none`,
      );
    const model = await openImageReward(place, options);
    try {
      const { positions, vocabulary } = model.config.text;
      const tokenizer = await BertTokenizer.load(folder, {
        maxLength: Math.min(imageRewardTextLength, positions),
      });
      if (tokenizer.vocabularySize > vocabulary)
        throw new SrpoError(
          "ERR_CHECKPOINT",
          `${folder}: vocab.txt: expected at most ${vocabulary - 2} tokens for this model, got ` +
            `${tokenizer.vocabularySize - 2}`,
        );
      return new ImageTextReward(model, tokenizer);
    } catch (error) {
      model.dispose();
      throw error;
    }
  }

  /** The scores of pixels that are prepared, [B, size, size, 3], for a caption each: [B], float32. */
  scorePixels(pixels: Tensor, captions: readonly string[]): Tensor {
    const { ids, mask, shape } = this.tokenizer.encodeBatch(captions);
    const [B, length] = shape;
    const first = this.model.encode(pixels, tokenRows(ids, length), {
      mask: tokenRows(mask, length),
    });
    return reshape(cast(this.model.score(first), "float32"), [B]);
  }

  /**
   * @param image - [B, H, W, 3] in [0, 1]; the score is differentiable in it
   * @returns [B], float32
   */
  plain(image: Tensor, captions: readonly string[]): Tensor {
    return this.scorePixels(this.model.preprocess(image), captions);
  }

  dispose(): void {
    this.model.dispose();
  }
}
