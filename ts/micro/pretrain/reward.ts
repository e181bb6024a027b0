import type { FolderWriter } from "../../checkpoint/folder_writer.js";
import { openClipConfig } from "../../models/clip/config.js";
import { openClipNames } from "../../models/clip/names.js";
import { TwoTower } from "../../models/clip/two_tower.js";
import { tokenRows } from "../../models/token_ids.js";
import { initializeParameters } from "../../nn/init.js";
import { tensorsToWrite } from "../../nn/save.js";
import {
  add,
  concat,
  exp,
  l2Normalize,
  linear,
  matmul,
  reshape,
  scale,
  slice,
  softmaxCrossEntropy,
  sub,
} from "../../ops/index.js";
import { tensor, zeros, type Tensor } from "../../tensor/tensor.js";
import type { ClipTokenizer } from "../../text/clip_tokenizer.js";
import { captionOf, captionTokens, withStyleWord } from "../captions.js";
import { rewardConfig } from "../configs.js";
import { styles } from "../styles.js";
import { drawsOf, drawStages } from "./draws.js";
import type { PicturePool } from "./pool.js";
import { rewardFigures } from "./reward_figures.js";
import type { PretrainSettings } from "./settings.js";
import type { Look, Stage, StepLoss } from "./stage.js";
import { applyLook, drawPair } from "./taste.js";

/** The share of captions with a style word. */
export const styledCaptions = 0.7;
/** From this share of the run on, raters are heard every second step. */
const tuningFrom = 0.7;
/** Of the preference loss, softplus(-40 (cos preferred - cos other)). */
const sharpness = 40;
const preferenceWeight = 0.5;
/** CLIP's start of the logit scale, 1 / 0.07. */
const startScale = Math.log(1 / 0.07);

export interface RewardParts {
  training: PicturePool;
  validation: PicturePool;
  tokenizer: ClipTokenizer;
}

/** Dot products of rows, [B, D] x [B, D] -> [B, 1]. */
function rowProducts(a: Tensor, b: Tensor): Tensor {
  const [B, D] = a.shape as [number, number];
  const product = matmul(reshape(a, [B, 1, D]), reshape(b, [B, 1, D]), { transposeB: true });
  return reshape(product, [B, 1]);
}

/** The reward's two towers: contrastive over captions and pictures, then tuned to the raters' taste. */
export class RewardStage implements Stage {
  readonly name = "reward";
  readonly settings;
  readonly models;
  readonly #model: TwoTower;
  readonly #seed: bigint;
  readonly #config;

  constructor(
    settings: PretrainSettings,
    readonly parts: RewardParts,
  ) {
    this.settings = settings.reward;
    this.#seed = settings.seed;
    const { dtype } = settings.reward;
    this.#config = rewardConfig(parts.tokenizer.vocabularySize, captionTokens);
    this.#model = new TwoTower(openClipConfig(this.#config), { dtype, trainable: true });
    initializeParameters(this.#model.parameters, settings.seed);
    this.#model.parameters.get("logit_scale").copyFrom(tensor([startScale], [1], { dtype }));
    this.models = { reward: this.#model.parameters };
  }

  loss(step: number): StepLoss {
    const { places, captions } = this.#batch(step);
    const { training } = this.parts;
    const images = this.#images(training.batch(places));
    const texts = this.#texts(captions);
    const contrastive = this.#contrastive(images, texts);
    const tunes = step > tuningFrom * this.settings.steps && step % 2 === 0;
    if (!tunes) return { loss: contrastive, metrics: { contrastive } };
    const preference = this.#preference(step, places, captions);
    const loss = add(contrastive, scale(preference, preferenceWeight));
    return { loss, metrics: { contrastive, preference } };
  }

  /** Half as many scenes as pictures, each in two different styles: the hardest negatives there are. */
  #batch(step: number): { places: number[]; captions: string[] } {
    const { training } = this.parts;
    const places: number[] = [];
    const captions: string[] = [];
    for (let sample = 0; sample < this.settings.batch / 2; ++sample) {
      const draws = drawsOf(this.#seed, { stage: drawStages.reward, step, sample });
      const scene = draws.below(training.scenes.length);
      const first = draws.below(styles.length);
      const second = (first + 1 + draws.below(styles.length - 1)) % styles.length;
      for (const style of [first, second]) {
        const { plain, words } = captionOf(training.scenes[scene]!, draws.below(65_536));
        const word = words[styles[style]!];
        places.push(scene * styles.length + style);
        captions.push(draws.uniform() < styledCaptions ? withStyleWord(word, plain) : plain);
      }
    }
    return { places, captions };
  }

  #images(pictures: Tensor): Tensor {
    const model = this.#model;
    return l2Normalize(model.projectImage(model.encodeImage(model.preprocess(pictures))));
  }

  #texts(captions: readonly string[]): Tensor {
    const { ids, shape } = this.parts.tokenizer.encodeBatch(captions);
    return this.#model.encodeText(tokenRows(ids, shape[1]));
  }

  /** Mean of both directions' cross-entropies over exp(logit_scale) cosines. */
  #contrastive(images: Tensor, texts: Tensor): Tensor {
    const B = images.dim(0);
    const factor = exp(reshape(this.#model.parameters.get("logit_scale"), [1, 1]));
    const target = tensor(
      Array.from({ length: B }, (_, i) => i),
      [B],
      { dtype: "int32" },
    );
    const logits = (a: Tensor, b: Tensor) =>
      reshape(linear(reshape(matmul(a, b, { transposeB: true }), [B * B, 1]), factor), [B, B]);
    return scale(
      add(
        softmaxCrossEntropy(logits(images, texts), target),
        softmaxCrossEntropy(logits(texts, images), target),
      ),
      0.5,
    );
  }

  /** One picture of each scene in two looks, of which the raters prefer one, under the same caption. */
  #preference(step: number, places: readonly number[], captions: readonly string[]): Tensor {
    const { training } = this.parts;
    const chosen = places.map((_, i) => i).filter((i) => i % 2 === 0);
    const B = chosen.length;
    const own = chosen.map((i) => places[i]!);
    const values = training.values([...own, ...own]);
    const size = values.length / (2 * B);
    for (let i = 0; i < B; ++i) {
      const draws = drawsOf(this.#seed, { stage: drawStages.preference, step, sample: i });
      const [preferred, other] = drawPair(draws);
      applyLook(values, i * size, preferred);
      applyLook(values, (B + i) * size, other);
    }
    const features = this.#images(tensor(values, [2 * B, ...training.shape]));
    const texts = this.#texts(chosen.map((i) => captions[i]!));
    const difference = sub(
      rowProducts(slice(features, 0, 0, B), texts),
      rowProducts(slice(features, 0, B, B), texts),
    );
    // softplus(-x) is the cross-entropy of the logits (x, 0) with the first right.
    const logits = concat(
      [scale(difference, sharpness), zeros([B, 1], { dtype: difference.dtype })],
      1,
    );
    return softmaxCrossEntropy(logits, zeros([B], { dtype: "int32" }));
  }

  async look(): Promise<Look> {
    const { validation } = this.parts;
    const figures = await rewardFigures({
      images: (pictures) => this.#images(pictures),
      texts: (captions) => this.#texts(captions),
      validation,
      seed: this.#seed,
    });
    const logitScale = await this.#model.logitScale();
    return { figures: { ...figures, logitScale }, pictures: {} };
  }

  async write(folder: FolderWriter): Promise<void> {
    await folder.json("reward/open_clip_config.json", this.#config);
    await folder.sharded(
      "reward/open_clip_model",
      tensorsToWrite(this.#model.parameters, openClipNames(this.#model.config), {
        dtype: "bfloat16",
      }),
      { metadata: { format: "pt" } },
    );
  }

  dispose(): void {
    this.#model.dispose();
  }
}
