/** Sizes of ImageReward: BLIP's image encoder, BERT with cross attention, and linear layers on its first token. */
export interface ImageRewardConfig {
  readonly vision: {
    readonly width: number;
    readonly layers: number;
    readonly heads: number;
    readonly imageSize: number;
    readonly patchSize: number;
  };
  readonly text: {
    readonly width: number;
    readonly layers: number;
    readonly heads: number;
    readonly mlp: number;
    readonly vocabulary: number;
    readonly positions: number;
  };
  /** Widths of the linear layers, the text's own first. */
  readonly head: readonly number[];
}

/** ImageReward v1.0 (models.md 12): ViT-L/16 at 224 and BERT base. */
export const imageRewardV1: ImageRewardConfig = {
  vision: { width: 1024, layers: 24, heads: 16, imageSize: 224, patchSize: 16 },
  text: { width: 768, layers: 12, heads: 12, mlp: 3072, vocabulary: 30524, positions: 512 },
  head: [768, 1024, 128, 64, 16, 1],
};
