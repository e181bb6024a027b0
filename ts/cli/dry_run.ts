// `train --dry-run`: a recipe without weights. Options, files, sizes and memory are looked at; nothing is
// loaded and nothing written.
import { existsSync, readdirSync } from "node:fs";
import path from "node:path";
import { stringify } from "yaml";
import { EmbeddingFolder } from "../data/embeddings.js";
import { listImages } from "../data/images.js";
import { SrpoError } from "../native/error.js";
import { rewardKindAt } from "../models/open_scores.js";
import { isFolder } from "../models/part_config.js";
import { baseFolder } from "../models/pipeline/places.js";
import { native } from "../native/binding.js";
import { builtInModel, isBuiltIn, modelsOf, type PlannedModels } from "../plan/models.js";
import { nearestThatFits } from "../plan/nearest.js";
import { planOf, type PlanRequest } from "../plan/plan.js";
import { planLines } from "../plan/print.js";
import { cardNames, type CardName } from "../plan/rates.js";
import { readPrompts, shippedPromptsFile } from "../text/prompts.js";
import type { TrainConfig } from "../train/config.js";
import { checkEvaluation, evaluationEvery } from "../train/evaluations.js";
import { checkLora } from "../train/lora.js";
import { checkLayout } from "../train/layout.js";
import { checkMethod, checkReward } from "../train/methods.js";
import { rewardFigures } from "../train/reward_evaluator.js";
import type { Schema, Values } from "../train/schema.js";
import { machineSchema } from "./machine.js";

const { card, ...rest } = machineSchema;

/** What `train` takes beside the run's own options. */
export const dryRunSchema = {
  dryRun: {
    type: "boolean",
    default: false,
    help: "check options, files, sizes and memory, say what would happen, and end",
    group: "dry run",
  },
  card: { type: "text", choices: cardNames, help: card.help, group: "dry run" },
  ...rest,
  json: {
    type: "boolean",
    default: false,
    help: "what a dry run finds, as JSON",
    group: "dry run",
  },
} as const satisfies Schema;

export type DryRunValues = Values<typeof dryRunSchema>;

/** Without `--dry-run` the flags that go with it say nothing. @throws SrpoError ERR_CONFIG */
export function refuseWithoutDryRun(given: Readonly<Record<string, unknown>>): void {
  const names = Object.keys(given).filter((name) => name !== "dryRun");
  if (names.length > 0)
    throw new SrpoError("ERR_CONFIG", `${names[0]}: expected only with --dry-run, got it without`);
}

/** The kind of device, as told or as the run's own device says. */
function cardOf({ device }: TrainConfig, told: CardName | undefined): CardName {
  if (told !== undefined) return told;
  if (!device.startsWith("cuda")) return "cpu";
  throw new SrpoError(
    "ERR_CONFIG",
    `card: expected the kind of GPU that ${device} will be, ${cardNames.filter((name) => name !== "cpu").join(", ")}, got none`,
  );
}

/** Prompts of the run's list, every file of data looked at. */
async function checkData(config: TrainConfig, models: PlannedModels): Promise<number> {
  const { prompts, embeddings, images, samplePrompts, evalPrompts } = config;
  for (const file of [samplePrompts, evalPrompts]) if (file !== undefined) await readPrompts(file);
  if (images !== undefined) return listImages(images).length;
  if (embeddings === undefined) return (await readPrompts(prompts ?? shippedPromptsFile)).length;
  using folder = await EmbeddingFolder.open(embeddings);
  const { textWidth, pooledWidth } = folder.index;
  const { contextSize, vectorSize } = models.transformer;
  if (textWidth !== contextSize || pooledWidth !== vectorSize)
    throw new SrpoError(
      "ERR_CONFIG",
      `embeddings: expected txt of ${contextSize} and pooled of ${vectorSize} channels for this model, got ${textWidth} and ${pooledWidth}`,
    );
  return folder.prompts.length;
}

function checkOptions(config: TrainConfig): void {
  checkMethod(config);
  checkLora(config);
  if (config.embeddings !== undefined && config.prompts !== undefined)
    throw new SrpoError(
      "ERR_CONFIG",
      "prompts: expected none beside embeddings, which bring their own, got both",
    );
  const judged = config.model !== undefined && existsSync(path.join(config.model, "judges"));
  if (config.evalReward !== undefined || !judged)
    checkEvaluation(config, config.evalReward === undefined ? undefined : rewardFigures);
}

const weights = /\.(?:safetensors|bin|pt|pth)$/;

const rewardPlace = ({ model, base, reward }: TrainConfig): string =>
  reward ?? path.join(baseFolder({ model: model!, base }), "reward");

/** Places of a run in which no weights lie yet; a file is its own weights. */
function withoutWeights(config: TrainConfig): string[] {
  const { model, base, embeddings } = config;
  const root = baseFolder({ model: model!, base });
  const texts = embeddings === undefined ? ["text_encoder", "text_encoder_2"] : [];
  const folders = [
    ...(isFolder(model!) ? ["transformer", "vae", ...texts] : []).map((part) =>
      path.join(root, part),
    ),
    rewardPlace(config),
  ];
  return folders.filter(
    (place) =>
      !existsSync(place) || (isFolder(place) && !readdirSync(place).some((n) => weights.test(n))),
  );
}

function happening(config: TrainConfig, prompts: number, out: string): string[] {
  const { method, steps, batch, microBatch, rolloutSteps, height, width } = config;
  const every = evaluationEvery(config);
  const passes = ((steps * batch) / prompts).toFixed(2);
  return [
    `${method}: ${steps} updates of ${batch} prompts, ${microBatch} a forward, at ${width} x ${height}, rollouts of ${rolloutSteps} steps`,
    `data: ${prompts} prompts, ${passes} times through`,
    `run folder: ${out}`,
    `checkpoints: ${config.saveEvery > 0 ? `every ${config.saveEvery} updates and ` : ""}at the end, the newest ${config.keep} kept`,
    config.sampleEvery > 0
      ? `samples: ${config.sampleCount} pictures every ${config.sampleEvery} updates, ${config.sampleSteps} steps each`
      : "samples: none",
    every > 0
      ? `evaluation: every ${every} updates, on ${config.evalCount} prompts`
      : "evaluation: none",
  ];
}

/**
 * Checks a run and prints what it would be: the resolved options as YAML, and as comments what would happen.
 *
 * @param out - the run's folder
 * @returns the exit code: 1 where the memory does not suffice
 * @throws SrpoError for options, files and sizes that do not fit
 */
export async function dryRun(
  config: TrainConfig,
  out: string,
  { json, sharding, gpus, nodes, memory, ...told }: DryRunValues,
): Promise<number> {
  checkOptions(config);
  checkLayout(config, gpus * nodes);
  const kind = cardOf(config, told.card);
  const models = modelsOf(config);
  // With built-in sizes the recipe is meant for another machine, where its files are.
  const elsewhere = config.model === undefined || isBuiltIn(config.model);
  const prompts = elsewhere
    ? (await readPrompts(shippedPromptsFile)).length
    : await checkData(config, models);
  const request: PlanRequest = {
    config,
    models,
    machine: { card: kind, gpus, nodes, memory: memory === undefined ? undefined : memory * 1e9 },
    layout: {
      sharding:
        sharding ?? (gpus * nodes > 1 ? (`zero${config.zero}` as "zero1" | "zero2") : "none"),
    },
    prompts,
  };
  const plan = planOf(request);
  const nearest = plan.fits ? undefined : nearestThatFits(request);
  const here = native.hasDevice(config.device) ? [] : [`the device ${config.device}`];
  const empty = elsewhere ? [] : withoutWeights(config);
  const lacking = empty.map((folder) => `weights in ${folder}`);
  if (!elsewhere && !empty.includes(rewardPlace(config)))
    checkReward(config, rewardKindAt(rewardPlace(config)));
  const files = elsewhere
    ? [`files: none looked for, since the sizes are built in (${builtInModel})`]
    : [];
  const would = happening(config, prompts, out);
  if (json) {
    const found = { config, would, plan, ...nearest, notHere: [...here, ...lacking] };
    process.stdout.write(`${JSON.stringify(found)}\n`);
  } else {
    const lines = [
      ...would,
      ...files,
      ...planLines(plan, config.steps, nearest),
      ...[...here, ...lacking].map((what) => `not on this machine: ${what}`),
    ];
    const options = stringify({ ...config, resume: undefined });
    process.stdout.write(`${options}${lines.map((line) => `# ${line}\n`).join("")}`);
  }
  return plan.fits ? 0 : 1;
}
