// Rewards as metrics: the published numbers, from the published preprocessing (methods.md 15).
import type { Picture } from "../data/png.js";
import { clipMean, clipStd } from "../models/clip/config.js";
import { siglipMean, siglipStd } from "../models/siglip/config.js";
import { SrpoError } from "../native/error.js";
import { relativeReward, resizeCropNormalize } from "../ops/index.js";
import type { Device } from "../tensor/device.js";
import { zeros, type Tensor } from "../tensor/tensor.js";
import { AestheticReward } from "./aesthetic_reward.js";
import { ImageTextReward } from "./image_reward.js";
import type { AnyReward } from "./open_reward.js";
import { pillowPixels, unitImage } from "./preprocess.js";
import { TwoTowerReward } from "./two_tower_reward.js";

/** The scores by the names that a user says. */
export const scoreNames = ["hps", "pickscore", "clip", "aesthetic", "imagereward"] as const;
export type ScoreName = (typeof scoreNames)[number];

/**
 * How pictures come to the towers of CLIP: as the score's own authors do it, by SRPO's crop (training's), or
 * by HPSv2's padding. The others know one form only.
 */
export const preprocessForms = ["official", "crop", "pad"] as const;
export type PreprocessForm = (typeof preprocessForms)[number];

/** A reward as one or more columns of numbers. */
export interface Scorer {
  readonly columns: readonly string[];
  /** A picture as the model takes it, [1, size, size, 3], float32. */
  pixels(picture: Picture): Tensor;
  /** A number a picture for each column; pixels [B, size, size, 3]. No gradient is wanted of it. */
  score(pixels: Tensor, prompts: readonly string[]): Promise<Float32Array[]>;
}

/** What a reward is, if it was not said. */
export function usualName(reward: AnyReward): ScoreName {
  if (reward instanceof AestheticReward) return "aesthetic";
  if (reward instanceof ImageTextReward) return "imagereward";
  return reward.masksPadding ? "pickscore" : "hps";
}

/** @throws SrpoError ERR_CONFIG for a name that this reward cannot have */
export function scorerOf(
  reward: AnyReward,
  name: ScoreName,
  { preprocess, device }: { preprocess: PreprocessForm; device: Device },
): Scorer {
  const usual = usualName(reward);
  const alike: readonly ScoreName[] =
    reward instanceof TwoTowerReward ? ["hps", "pickscore", "clip"] : [usual];
  if (!alike.includes(name))
    throw new SrpoError(
      "ERR_CONFIG",
      `reward: ${name}: expected the model of that name, got one for ${alike.join(", ")}`,
    );
  if (reward instanceof AestheticReward) return aestheticScorer(reward, device);
  if (reward instanceof ImageTextReward) return imageRewardScorer(reward, device);
  return twoTowerScorer(reward, name, preprocess, device);
}

function aestheticScorer(reward: AestheticReward, device: Device): Scorer {
  const size = reward.model.config.tower.imageSize;
  const form = { size, fit: "stretch", mean: siglipMean, std: siglipStd } as const;
  return {
    columns: ["Aesthetic"],
    pixels: (picture) => pillowPixels(picture, form, device),
    score: async (pixels) => [await reward.scorePixels(pixels).read()],
  };
}

function imageRewardScorer(reward: ImageTextReward, device: Device): Scorer {
  const size = reward.model.config.vision.imageSize;
  const form = { size, fit: "even", mean: clipMean, std: clipStd } as const;
  return {
    columns: ["ImageReward"],
    pixels: (picture) => pillowPixels(picture, form, device),
    score: async (pixels, prompts) => [await reward.scorePixels(pixels, prompts).read()],
  };
}

/** The two prefixes of SGP (methods.md 15.6), before a caption as SRPO's control words are. */
const realistic = "Realistic photo";
const rendered = "CG Render";
// CLIP's own logit scale, for the two-way probability.
const sgpScale = 100;

function twoTowerScorer(
  reward: TwoTowerReward,
  name: ScoreName,
  preprocess: PreprocessForm,
  device: Device,
): Scorer {
  const { imageSize: size, mean, std } = reward.tower.config.vision;
  const form = { size, fit: reward.masksPadding ? "floor" : "even", mean, std } as const;
  const pad = preprocess === "pad" || (preprocess === "official" && name === "hps");
  const pixels = (picture: Picture) =>
    preprocess === "official" && !pad
      ? pillowPixels(picture, form, device)
      : resizeCropNormalize(unitImage(picture, device), { size, pad, mean, std });
  /** Cosines of pooled images and texts, [B]. */
  const cosines = async (pooled: Tensor, texts: readonly string[]) => {
    const positive = reward.textFeatures(texts);
    const negative = zeros(positive.shape, positive);
    const k = texts.map(() => 0);
    const weights = reward.tower.imageProjection;
    return relativeReward(pooled, weights, { positive, negative, k }).reward.read();
  };
  if (name !== "hps") {
    // A reward of SRPO has a twentieth of PickScore's scale.
    const factor = name === "pickscore" ? 20 * reward.scale : 1;
    return {
      columns: [name === "pickscore" ? "PickScore" : "CLIP"],
      pixels,
      score: async (x, prompts) => {
        const found = await cosines(reward.tower.encodeImage(x), prompts);
        return [found.map((cosine) => factor * cosine)];
      },
    };
  }
  return {
    columns: ["HPSv2.1", "SGP", "SGP p"],
    pixels,
    score: async (x, prompts) => {
      const pooled = reward.tower.encodeImage(x);
      const prefixed = (prefix: string) => prompts.map((prompt) => `${prefix}. ${prompt}`);
      const hps = await cosines(pooled, prompts);
      const real = await cosines(pooled, prefixed(realistic));
      const cg = await cosines(pooled, prefixed(rendered));
      const sgp = real.map((cosine, i) => cosine - cg[i]!);
      return [hps, sgp, sgp.map((d) => 1 / (1 + Math.exp(-sgpScale * d)))];
    },
  };
}
