import { layerNormLayer } from "../../nn/layers.js";
import { ParameterSet, type ParameterSetOptions } from "../../nn/parameter_set.js";
import {
  addRows,
  gatherRows,
  l2Normalize,
  linear,
  prependRow,
  resizeCropNormalize,
} from "../../ops/index.js";
import type { Tensor } from "../../tensor/tensor.js";
import type { TwoTowerConfig } from "./config.js";
import { pooledText, textTower, tower, type TowerOptions } from "./layers.js";
import { patchEmbedding } from "../patches.js";
import type { TokenIds } from "../token_ids.js";
import { twoTowerParameters } from "./parameters.js";

/** OpenCLIP's and transformers' CLIP: an image tower and a text tower into one space. */
export class TwoTower {
  readonly config: TwoTowerConfig;
  readonly parameters: ParameterSet;

  constructor(config: TwoTowerConfig, options: ParameterSetOptions = {}) {
    this.config = config;
    this.parameters = ParameterSet.create(twoTowerParameters(config), options);
  }

  /** The image tower's projection, [embedding, width]: `relativeReward` has it folded in. */
  get imageProjection(): Tensor {
    return this.parameters.get("visual.proj");
  }

  /** Images [B, H, W, 3] in [0, 1] as this tower wants them, [B, size, size, 3]; see `resizeCropNormalize`. */
  preprocess(image: Tensor, { antialias = true }: { antialias?: boolean } = {}): Tensor {
    const { imageSize, mean, std } = this.config.vision;
    return resizeCropNormalize(image, { size: imageSize, antialias, mean, std });
  }

  /**
   * The image tower before its projection.
   *
   * @param pixels - [B, size, size, 3], normalised
   * @returns [B, width], the class token after its norm
   */
  encodeImage(pixels: Tensor, options: TowerOptions = {}): Tensor {
    const { parameters: w } = this;
    const { vision } = this.config;
    const patches = patchEmbedding(w, "visual.conv1", pixels, vision.patchSize);
    const tokens = addRows(
      prependRow(patches, w.get("visual.class_embedding")),
      w.get("visual.positional_embedding"),
    );
    const y = tower(
      w,
      "visual.transformer.",
      vision,
      layerNormLayer(w, "visual.ln_pre", tokens, vision.eps),
      { causal: false },
      options,
    );
    // The norm works token by token, so that the class token's alone is enough.
    const first = gatherRows(
      y,
      Array.from({ length: y.dim(0) }, () => 0),
    );
    return layerNormLayer(w, "visual.ln_post", first, vision.eps);
  }

  /** Image features [B, embedding], not normalised. */
  projectImage(pooled: Tensor): Tensor {
    return linear(pooled, this.imageProjection);
  }

  /**
   * Text features before L2 normalisation.
   *
   * @param ids - texts of one length, padded
   * @param options.mask - 1 for tokens, 0 for padding (transformers' CLIP); OpenCLIP passes none
   * @returns [B, embedding]
   */
  encodeTextRaw(
    ids: TokenIds,
    { mask, ...options }: TowerOptions & { mask?: TokenIds } = {},
  ): Tensor {
    const { parameters: w, config } = this;
    const hidden = textTower(w, config.text, ids, mask, options);
    return linear(pooledText(config.text, hidden, ids), w.get("text_projection"));
  }

  /** Text features [B, embedding] of length 1; cached by rewards. */
  encodeText(ids: TokenIds, options: TowerOptions & { mask?: TokenIds } = {}): Tensor {
    return l2Normalize(this.encodeTextRaw(ids, options));
  }

  /** exp(logit_scale), read back once. */
  async logitScale(): Promise<number> {
    const raw = await this.parameters.get("logit_scale").read();
    return Math.exp(raw[0]!);
  }

  dispose(): void {
    this.parameters.dispose();
  }
}
