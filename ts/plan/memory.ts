// Bytes on one device, part by part.
import { clipTextParameters, twoTowerParameters } from "../models/clip/parameters.js";
import { autoencoderParameters } from "../models/autoencoder/parameters.js";
import { fluxParameters, isBlockMatrix, isModulation } from "../models/flux/parameters.js";
import { t5Parameters } from "../models/t5/parameters.js";
import { sizeOf, type Parameter } from "../nn/parameter.js";
import type { TrainConfig } from "../train/config.js";
import { bucketElements } from "../optim/buckets.js";
import { decoderHeld, fluxHeld, imageTokens, towerHeld, type Picture } from "./activations.js";
import { gradientBytes, stateBytes, type Layout } from "./layouts.js";
import { loraCount } from "./lora.js";
import { recomputedBlocks } from "../train/recompute.js";
import type { MethodCounts } from "./methods.js";
import type { PlannedModels } from "./models.js";
import { latentSize } from "./work.js";

export interface Part {
  name: string;
  bytes: number;
  /** What it is made of. */
  note?: string;
}

const alignmentBytes = 64; // of a parameter's start, ts/nn/parameter_set.ts

/** Elements of a model's flat buffer. */
export function elementsOf(parameters: readonly Parameter[], bytes: number): number {
  const aligned = alignmentBytes / bytes;
  return parameters.reduce(
    (sum, { shape }) => sum + Math.ceil(sizeOf(shape) / aligned) * aligned,
    0,
  );
}

/** Weights of the transformer and, of those, of its modulations. */
export function transformerCounts(
  { transformer }: PlannedModels,
  bytes: number,
): { count: number; modulation: number } {
  const parameters = fluxParameters(transformer);
  const modulations = parameters.filter(isModulation);
  return { count: elementsOf(parameters, bytes), modulation: elementsOf(modulations, bytes) };
}

/** The forward with a gradient that a method makes. */
export function pictureOf(
  config: TrainConfig,
  models: PlannedModels,
  counts: MethodCounts,
): Picture {
  return {
    samples: Math.min(config.microBatch, config.batch) * counts.together,
    ...latentSize(models.vae, config),
    textLength: models.textLength,
    bytes: config.precision === "bf16" ? 2 : 4,
  };
}

// Encoded prompts that are kept, ts/train/prompt_data.ts.
const mostKept = 4096;

export interface MemoryOptions {
  layout: Layout;
  /** Prompts of the run's list, where they are known. */
  prompts: number;
  /** Contexts, communicators, kernels' own workspaces. */
  workspace: Part;
}

/** Of an averaged weight: float32, and its own 16 more bits to read stochastically rounded weights by. */
function averageBytes({ weightBytes, master }: Layout): number {
  return weightBytes === 2 && master === "none" ? 6 : 4;
}

/** The weights beneath a LoRA, in `precision` or, the blocks' matrices, in 8 bits. */
function frozenParts(
  { baseDtype }: TrainConfig,
  { transformer }: PlannedModels,
  bytes: number,
): Part[] {
  const parameters = fluxParameters(transformer);
  if (baseDtype === "precision")
    return [{ name: "frozen weights", bytes: elementsOf(parameters, bytes) * bytes }];
  const coded = parameters.filter(isBlockMatrix);
  const whole = parameters.filter((parameter) => !isBlockMatrix(parameter));
  const rows = coded.reduce((sum, { shape }) => sum + shape[0]!, 0);
  const ofBlock = new Map<string, number>();
  for (const { name, shape } of coded) {
    const block = name.split(".").slice(0, 2).join(".");
    ofBlock.set(block, (ofBlock.get(block) ?? 0) + sizeOf(shape));
  }
  return [
    {
      name: "frozen weights",
      bytes: elementsOf(coded, 4) + 4 * rows + elementsOf(whole, bytes) * bytes,
      note: "the blocks' matrices in fp8",
    },
    {
      name: "a block's matrices",
      bytes: Math.max(...ofBlock.values()) * bytes,
      note: "whole while it runs",
    },
  ];
}

/** Rows of dy and x that an update's samples leave with each modulation. */
function factorsPart(config: TrainConfig, models: PlannedModels, counts: MethodCounts): Part {
  const samples = Math.ceil((config.batch * counts.differentiated) / counts.passes);
  const row = fluxParameters(models.transformer)
    .filter(isModulation)
    .reduce((sum, { shape: [outputs = 0, inputs = 0] }) => sum + outputs + inputs, 0);
  return {
    name: "gradient factors",
    bytes: samples * row * (config.precision === "bf16" ? 2 : 4),
    note: `of the modulations, ${samples} samples`,
  };
}

// Those that a double block fills at once, and those under way (ts/optim/gradient_buckets.ts).
const bucketsHeld = 4;

function bucketsPart(layout: Layout, count: number): Part {
  return {
    name: "gradients on their way",
    bytes: bucketsHeld * bucketElements(count) * gradientBytes[layout.gradients],
    note: `${bucketsHeld} buckets of about a block`,
  };
}

function weightParts(
  config: TrainConfig,
  models: PlannedModels,
  counts: MethodCounts,
  { layout, prompts }: MemoryOptions,
): Part[] {
  const { loraRank } = config;
  const bytes = layout.weightBytes;
  const policy = transformerCounts(models, bytes);
  const trained =
    loraRank === 0 ? policy : { count: loraCount(models.transformer, config), modulation: 0 };
  const state = stateBytes(layout, trained);
  const of = (parameters: readonly Parameter[]) => elementsOf(parameters, bytes) * bytes;
  const billions = (trained.count / 1e9).toFixed(3);
  const frozen = loraRank === 0 ? [] : frozenParts(config, models, bytes);
  const shares = layout.sharding === "none" ? 1 : layout.ranks; // it follows the masters
  const average =
    config.ema === 0
      ? []
      : [
          {
            name: "EMA, float32",
            bytes: (trained.count * averageBytes(layout)) / shares,
          },
        ];
  const { textLength, transformer } = models;
  const kept = Math.min(prompts, mostKept);
  const text =
    config.embeddings === undefined
      ? [
          {
            name: "text encoders",
            bytes: of(clipTextParameters(models.clip)) + of(t5Parameters(models.t5)),
            note: "none with embeddings that preprocess made",
          },
          {
            name: "text embeddings",
            bytes: kept * bytes * (textLength * transformer.contextSize + transformer.vectorSize),
            note: `${kept} prompts kept`,
          },
        ]
      : [];
  const decoder = config.images === undefined ? ["decoder" as const] : undefined;
  const towers = [models.reward, ...(models.evalReward === undefined ? [] : [models.evalReward])];
  return [
    { name: "weights", bytes: state.weights, note: `${billions} B trained` },
    ...frozen,
    { name: "master", bytes: state.master, note: layout.master },
    { name: "moments", bytes: state.moments, note: `m and v, ${layout.moments}` },
    { name: "gradients", bytes: state.gradients, note: layout.gradients },
    ...(layout.sharding === "zero2" && layout.ranks > 1
      ? [bucketsPart(layout, trained.count)]
      : []),
    ...(layout.factored ? [factorsPart(config, models, counts)] : []),
    ...average,
    ...(counts.references === 0 || loraRank > 0
      ? []
      : [{ name: "reference policy", bytes: counts.references * policy.count * bytes }]),
    { name: "VAE", bytes: of(autoencoderParameters(models.vae, decoder)) },
    {
      name: "reward",
      bytes: towers.reduce((sum, tower) => sum + of(twoTowerParameters(tower)), 0),
      ...(towers.length > 1 ? { note: "and a second one" } : {}),
    },
    ...text,
  ];
}

function activationParts(config: TrainConfig, models: PlannedModels, counts: MethodCounts): Part[] {
  const picture = pictureOf(config, models, counts);
  const { recomputeVae } = config;
  const { depth, depthSingleBlocks } = models.transformer;
  const total = depth + depthSingleBlocks;
  const recompute = recomputedBlocks(config.recompute, total);
  const flux = fluxHeld(models.transformer, picture, { recompute, chain: counts.chain });
  // GRPO's pictures are decoded without a tape: one block's tensors at a time.
  const onTape = counts.judged > 0;
  const decoder = decoderHeld(models.vae, picture, { recompute: recomputeVae || !onTape });
  const tower = towerHeld(models.reward.vision, picture);
  const passing = Math.max(flux.passing, decoder.passing, tower.passing);
  const latents = 4 * picture.samples * imageTokens(picture) * models.transformer.inChannels;
  const prompts = picture.samples * picture.bytes * picture.textLength;
  const again = (is: boolean) => (is ? "blocks run again in backward" : "everything kept");
  const some = recompute > 0 && recompute < total;
  return [
    {
      name: "transformer activations",
      bytes: flux.kept,
      note: some ? `${recompute} of ${total} blocks run again in backward` : again(recompute > 0),
    },
    ...(onTape
      ? [
          { name: "VAE activations", bytes: decoder.kept, note: again(recomputeVae) },
          { name: "reward activations", bytes: tower.kept, note: "everything kept" },
        ]
      : []),
    { name: "a block in backward", bytes: passing, note: "the largest: its outputs, gradients" },
    {
      name: "latents, embeddings of a batch",
      bytes: 6 * latents + 2 * prompts * models.transformer.contextSize,
    },
  ];
}

/** Every part of the memory of one device, in bytes. */
export function memoryParts(
  config: TrainConfig,
  models: PlannedModels,
  counts: MethodCounts,
  options: MemoryOptions,
): Part[] {
  return [
    ...weightParts(config, models, counts, options),
    ...activationParts(config, models, counts),
    options.workspace,
  ].filter(({ bytes }) => bytes > 0);
}

/** Bytes that stand at once while weights are saved in float32: the joined masters. */
export function savingBytes(config: TrainConfig, count: number): number {
  return config.precision === "bf16" && config.saveDtype === "float32" ? 4 * count : 0;
}
