// The sizes of a run's models, without their weights: from the config files of its folders, or built in.
import { existsSync } from "node:fs";
import path from "node:path";
import { isObject, readJson } from "../checkpoint/strict_json.js";
import {
  autoencoderConfig,
  fluxAutoencoder,
  type AutoencoderConfig,
} from "../models/autoencoder/config.js";
import {
  clipTextConfig,
  hfClipConfig,
  openClipConfig,
  type ClipTextConfig,
  type TwoTowerConfig,
} from "../models/clip/config.js";
import { fluxConfig, fluxDev, type FluxConfig } from "../models/flux/config.js";
import { t5Config, type T5Config } from "../models/t5/config.js";
import { SrpoError } from "../native/error.js";
import type { TrainConfig } from "../train/config.js";

/** What a run computes with; sizes only. */
export interface PlannedModels {
  /** Where the sizes come from, for messages. */
  name: string;
  transformer: FluxConfig;
  vae: AutoencoderConfig;
  clip: ClipTextConfig;
  t5: T5Config;
  /** Tokens of a prompt as the transformer sees it. */
  textLength: number;
  reward: TwoTowerConfig;
  /** A second reward, which judges. */
  evalReward: TwoTowerConfig | undefined;
}

/** CLIP ViT-H/14: HPSv2.1, PickScore and LAION's differ in their weights, not in their sizes. */
const vitH: TwoTowerConfig = {
  embedding: 1024,
  text: {
    width: 1024,
    layers: 24,
    heads: 16,
    mlp: 4096,
    act: "gelu-erf",
    eps: 1e-5,
    vocabulary: 49408,
    positions: 77,
    endToken: 49407,
  },
  vision: {
    width: 1280,
    layers: 32,
    heads: 16,
    mlp: 5120,
    act: "gelu-erf",
    eps: 1e-5,
    imageSize: 224,
    patchSize: 14,
    mean: [0, 0, 0],
    std: [1, 1, 1],
  },
};

/** FLUX.1-dev and its parts (models.md 1, 3, 6, 7). */
const fluxDevModels: Omit<PlannedModels, "name" | "evalReward"> = {
  transformer: fluxDev,
  vae: fluxAutoencoder,
  clip: {
    width: 768,
    layers: 12,
    heads: 12,
    mlp: 3072,
    act: "quick-gelu",
    eps: 1e-5,
    vocabulary: 49408,
    positions: 77,
    endToken: 49407,
  },
  t5: {
    vocabulary: 32128,
    width: 4096,
    layers: 24,
    heads: 64,
    headSize: 64,
    mlp: 10240,
    buckets: 32,
    maxDistance: 128,
    eps: 1e-6,
  },
  textLength: 512,
  reward: vitH,
};

/** Names that stand for sizes that are built in, where no folder of that name is there. */
export const builtInModel = "flux.1-dev";
export const builtInRewards = ["hpsv2.1", "pickscore"] as const;

/** Whether an option names built-in sizes. */
export function isBuiltIn(name: string | undefined): boolean {
  if (name === undefined || existsSync(name)) return false;
  const wanted = path.basename(name).toLowerCase();
  return wanted === builtInModel || builtInRewards.some((reward) => reward === wanted);
}

function rewardOf(option: "reward" | "evalReward", folder: string): TwoTowerConfig {
  if (isBuiltIn(folder)) return vitH;
  if (!existsSync(folder))
    throw new SrpoError(
      "ERR_CONFIG",
      `${option}: expected a folder, or one of ${builtInRewards.join(", ")}, got ${folder}, which is not there`,
    );
  const openClip = path.join(folder, "open_clip_config.json");
  if (existsSync(openClip)) return openClipConfig(readJson(openClip));
  return hfClipConfig(configIn(folder, "the reward"));
}

function configIn(folder: string, of: string) {
  const file = path.join(folder, "config.json");
  if (existsSync(file)) return readJson(file);
  throw new SrpoError(
    "ERR_CHECKPOINT",
    `${file}: expected the sizes of ${of}, got no file; "${builtInModel}", "${builtInRewards.join('", "')}" stand for built-in sizes`,
  );
}

/** What tokenizer_2 pads a prompt to, FLUX.1-dev's 512 where it does not say. */
function textLengthIn(root: string): number {
  const file = path.join(root, "tokenizer_2", "tokenizer_config.json");
  const json = existsSync(file) ? readJson(file) : undefined;
  const most = isObject(json) ? json["model_max_length"] : undefined;
  return typeof most === "number" && Number.isInteger(most) && most <= 65536
    ? most
    : fluxDevModels.textLength;
}

function folderModels(root: string): Omit<PlannedModels, "evalReward" | "reward"> {
  const config = (part: string) => configIn(path.join(root, part), part);
  return {
    name: root,
    transformer: fluxConfig(config("transformer")),
    vae: autoencoderConfig(config("vae")),
    clip: clipTextConfig(config("text_encoder")),
    t5: t5Config(config("text_encoder_2")),
    textLength: textLengthIn(root),
  };
}

/**
 * The sizes of a run's models: of its folders' config files; FLUX.1-dev's where `model` names none or is
 * `flux.1-dev`, a ViT-H/14's where `reward` is not given with them or is `hpsv2.1` or `pickscore`.
 *
 * @throws SrpoError ERR_CONFIG or ERR_CHECKPOINT for folders that are not there or wrong
 */
export function modelsOf(
  config: Partial<Pick<TrainConfig, "model" | "reward" | "evalReward">>,
): PlannedModels {
  const { model, reward, evalReward } = config;
  const evaluated = {
    evalReward: evalReward === undefined ? undefined : rewardOf("evalReward", evalReward),
  };
  if (model === undefined || isBuiltIn(model))
    return {
      name: `${builtInModel}, built in`,
      ...fluxDevModels,
      ...evaluated,
      ...(reward === undefined ? {} : { reward: rewardOf("reward", reward) }),
    };
  if (!existsSync(model))
    throw new SrpoError(
      "ERR_CONFIG",
      `model: expected a FLUX folder or ${builtInModel}, got ${model}, which is not there`,
    );
  return {
    ...folderModels(model),
    reward: rewardOf("reward", reward ?? path.join(model, "reward")),
    ...evaluated,
  };
}
