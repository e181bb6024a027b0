// A reward's sizes for the plan, without its weights.
import { existsSync } from "node:fs";
import path from "node:path";
import { isObject, readJson, type Json } from "../checkpoint/strict_json.js";
import { hfClipConfig, openClipConfig, type TwoTowerConfig } from "../models/clip/config.js";
import { imageRewardConfig, type ImageRewardConfig } from "../models/image_reward/config.js";
import { openClipVitHConfigJson } from "../models/public_configs.js";
import { aestheticConfig, type AestheticConfig } from "../models/siglip/config.js";

/** CLIP ViT-H/14: HPSv2.1, PickScore and LAION's differ in their weights, not in their sizes. */
export const vitH = openClipConfig(openClipVitHConfigJson);

const noText = { ...vitH.text, width: 1, heads: 1, layers: 0, mlp: 1, vocabulary: 1, positions: 1 };

/** An aesthetic predictor as towers that cost the same: its pooling is about a block, and it has no text. */
function ofAesthetic({ tower }: AestheticConfig): TwoTowerConfig {
  const vision = { ...vitH.vision, ...tower, layers: tower.layers + 1 };
  return { vision, text: noText, embedding: tower.width };
}

/** ImageReward as towers that cost the same: cross attention, four products, is an MLP wider by two widths. */
function ofImageReward({ vision, text }: ImageRewardConfig): TwoTowerConfig {
  return {
    vision: { ...vitH.vision, ...vision, mlp: 4 * vision.width },
    text: { ...vitH.text, ...text, mlp: text.mlp + 2 * text.width },
    embedding: text.width,
  };
}

/** Told by the config alone: the weights may not be there yet. */
function isSiglip(json: Json): boolean {
  const inner = isObject(json) ? json["vision_config"] : undefined;
  return [json, inner].some(
    (part) =>
      isObject(part) &&
      typeof part["model_type"] === "string" &&
      part["model_type"].startsWith("siglip"),
  );
}

/** The sizes in a reward's folder; a ViT-H/14's for a file or a folder without a config, as all public two towers are. */
export function rewardSizes(place: string): TwoTowerConfig {
  const [openClip, med, own] = ["open_clip_config.json", "med_config.json", "config.json"].map(
    (name) => path.join(place, name),
  ) as [string, string, string];
  if (existsSync(openClip)) return openClipConfig(readJson(openClip));
  if (existsSync(med)) return ofImageReward(imageRewardConfig(readJson(med)));
  if (!existsSync(own)) return vitH;
  const json = readJson(own);
  if (isSiglip(json)) return ofAesthetic(aestheticConfig(json));
  if (isObject(json) && isObject(json["txt"])) return ofImageReward(imageRewardConfig(json));
  return hfClipConfig(json);
}
