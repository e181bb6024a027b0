import { noGrad } from "../autograd/tape.js";
import { loadTwoTower } from "../models/pipeline/load.js";
import type { TwoTower } from "../models/clip/two_tower.js";
import { tokenRows } from "../models/token_ids.js";
import type { ParameterSetOptions } from "../nn/parameter_set.js";
import { range } from "../native/ranges.js";
import { concat, relativeReward } from "../ops/index.js";
import { release, tidy } from "../tensor/scope.js";
import type { Tensor } from "../tensor/tensor.js";
import type { ClipTokenizer } from "../text/clip_tokenizer.js";

/** Prompts whose text features are kept; beyond it the oldest goes. */
const mostCached = 16384;

/**
 * A CLIP-like reward as SRPO uses it: a picture's features against wanted and unwanted text, both
 * normalised; the text side is computed once a prompt and kept.
 *
 *   HPSv2.1    phi(image) . ((1 + k) wanted - unwanted)
 *   PickScore  the same times exp(logit_scale) / 20
 *
 * @see methods.md 2.4, 15
 */
export class TwoTowerReward {
  readonly #texts = new Map<string, Tensor>();

  /**
   * @param masksPadding - whether the text tower hides padding (transformers' CLIP)
   * @param scale - of the score
   */
  constructor(
    readonly tower: TwoTower,
    readonly tokenizer: ClipTokenizer,
    readonly scale: number,
    readonly masksPadding: boolean,
  ) {}

  /** Reads a reward's folder; see `loadTwoTower`. */
  static async load(
    folder: string,
    options: ParameterSetOptions & { vocabulary?: string },
  ): Promise<TwoTowerReward> {
    const { tower, tokenizer, layout, logitScale } = await loadTwoTower(folder, options);
    const scale = layout === "hf" ? logitScale / 20 : 1;
    return new TwoTowerReward(tower, tokenizer, scale, layout === "hf");
  }

  /** Normalised text features [B, E]. */
  textFeatures(prompts: readonly string[]): Tensor {
    return range("reward's texts", () => {
      const rows = prompts.map((prompt) => this.#textFeature(prompt));
      return noGrad(() => concat(rows, 0));
    });
  }

  #textFeature(prompt: string): Tensor {
    const known = this.#texts.get(prompt);
    if (known !== undefined) return known;
    const { ids, mask, shape } = this.tokenizer.encodeBatch([prompt]);
    const [, length] = shape;
    const options = this.masksPadding ? { mask: tokenRows(mask, length) } : {};
    const feature = noGrad(() =>
      tidy(() => this.tower.encodeText(tokenRows(ids, length), options)),
    );
    if (this.#texts.size >= mostCached) {
      const [oldest, row] = this.#texts.entries().next().value!;
      row.dispose();
      this.#texts.delete(oldest);
    }
    this.#texts.set(prompt, release(feature));
    return feature;
  }

  /**
   * `scale * phi(image) . ((1 + k) wanted - unwanted)`, differentiable in the picture.
   *
   * @param image - [B, H, W, 3] in [0, 1]
   * @param wanted - normalised text features [B, E]
   * @param unwanted - likewise
   * @param k - one a sample
   * @returns [B], float32
   */
  score(image: Tensor, wanted: Tensor, unwanted: Tensor, k: readonly number[]): Tensor {
    return range("reward", () => {
      const pooled = this.tower.encodeImage(this.tower.preprocess(image));
      return relativeReward(pooled, this.tower.imageProjection, {
        positive: wanted,
        negative: unwanted,
        k,
        scale: this.scale,
      }).reward;
    });
  }

  dispose(): void {
    for (const row of this.#texts.values()) row.dispose();
    this.#texts.clear();
    this.tower.dispose();
  }
}
