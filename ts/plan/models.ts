// The sizes of a run's models, without their weights: from the config files of its folders, or built in.
import { existsSync } from "node:fs";
import path from "node:path";
import { openTensors } from "../checkpoint/sharded.js";
import { isObject, readJson } from "../checkpoint/strict_json.js";
import {
  autoencoderConfig,
  fluxAutoencoder,
  type AutoencoderConfig,
} from "../models/autoencoder/config.js";
import { clipTextConfig, type ClipTextConfig, type TwoTowerConfig } from "../models/clip/config.js";
import { fluxConfig, fluxDev, type FluxConfig } from "../models/flux/config.js";
import { inferFluxConfig } from "../models/flux/infer.js";
import { isFolder } from "../models/part_config.js";
import { baseFolder } from "../models/pipeline/places.js";
import { clipLConfigJson, t5XxlConfigJson } from "../models/public_configs.js";
import { t5Config, type T5Config } from "../models/t5/config.js";
import { SrpoError } from "../native/error.js";
import type { TrainConfig } from "../train/config.js";
import { rewardSizes, vitH } from "./rewards.js";

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

/** FLUX.1-dev and its parts (models.md 1, 3, 6, 7). */
const fluxDevModels: Omit<PlannedModels, "name" | "evalReward"> = {
  transformer: fluxDev,
  vae: fluxAutoencoder,
  clip: clipTextConfig(clipLConfigJson),
  t5: t5Config(t5XxlConfigJson),
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

/** Built-in sizes, or those of a place; see `rewardSizes`. */
function rewardOf(option: "reward" | "evalReward", place: string): TwoTowerConfig {
  if (isBuiltIn(place)) return vitH;
  if (!existsSync(place))
    throw new SrpoError(
      "ERR_CONFIG",
      `${option}: expected a folder, or one of ${builtInRewards.join(", ")}, got ${place}, which is not there`,
    );
  return rewardSizes(place);
}

/** A part's config in a folder; `otherwise` for a part that is a file alone, which FLUX.1's are. */
function configIn<T>(root: string, part: string, read: (json: unknown) => T, otherwise: T): T {
  const file = path.join(root, part, "config.json");
  return existsSync(file) ? read(readJson(file)) : otherwise;
}

/** A file's sizes are told from its header, a folder's from its config. */
function transformerOf(model: string, root: string): FluxConfig {
  const config = configIn<FluxConfig | undefined>(root, "transformer", fluxConfig, undefined);
  if (isFolder(model) && config !== undefined) return config;
  using store = openTensors(isFolder(model) ? path.join(root, "transformer") : model);
  return inferFluxConfig(store, config?.axes);
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

/**
 * The sizes of a run's models: of its folders' config files, or a file's header; FLUX.1-dev's where `model` names none or is
 * `flux.1-dev`, a ViT-H/14's where `reward` is not given with them or is `hpsv2.1` or `pickscore`.
 *
 * @throws SrpoError ERR_CONFIG or ERR_CHECKPOINT for folders that are not there or wrong
 */
export function modelsOf(
  config: Partial<Pick<TrainConfig, "model" | "base" | "reward" | "evalReward">>,
): PlannedModels {
  const { model, base, reward, evalReward } = config;
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
  const root = baseFolder({ model, base });
  const { vae, clip, t5 } = fluxDevModels;
  return {
    name: model,
    transformer: transformerOf(model, root),
    vae: configIn(root, "vae", autoencoderConfig, vae),
    clip: configIn(root, "text_encoder", clipTextConfig, clip),
    t5: configIn(root, "text_encoder_2", t5Config, t5),
    textLength: textLengthIn(root),
    reward: rewardOf("reward", reward ?? path.join(root, "reward")),
    ...evaluated,
  };
}
