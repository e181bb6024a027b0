// A run's memory and time on devices of a kind, before it starts: from sizes and rates alone.
import os from "node:os";
import { SrpoError } from "../native/error.js";
import type { TrainConfig } from "../train/config.js";
import {
  trafficOf,
  trafficSeconds,
  type Traffic,
  type TrafficOptions,
  type Way,
} from "./collectives.js";
import { missingOf, type Layout } from "./layouts.js";
import { loraCount } from "./lora.js";
import { memoryParts, pictureOf, savingBytes, transformerCounts, type Part } from "./memory.js";
import { methodCounts } from "./methods.js";
import type { PlannedModels } from "./models.js";
import { cards, type Card, type CardName, type Links } from "./rates.js";
import { shareAgain, updateTimes, type UpdateTime } from "./time.js";

/** Where and how a run is to be. */
export interface Machine {
  card: CardName;
  /** A node. */
  gpus: number;
  nodes: number;
  /** Bytes of a device; default the card's. */
  memory?: number | undefined;
}

/** How the weights are kept, where it is not as the run's own options say. */
export type LayoutChoice = {
  [K in "master" | "sharding"]?: Layout[K] | undefined;
};

export interface PlanRequest {
  config: TrainConfig;
  models: PlannedModels;
  machine: Machine;
  layout?: LayoutChoice;
  /** Prompts of the run's list, which text embeddings are kept of. */
  prompts?: number;
}

export interface Plan {
  /** The models' sizes are from here. */
  models: string;
  card: string;
  ranks: number;
  parts: Part[];
  /** Bytes on one device: all parts, or what saving takes if that is more. */
  bytes: number;
  capacity: number;
  capacitySource: string;
  fits: boolean;
  times: UpdateTime[];
  /** What goes between ranks in an update, and in how long, predicted; undefined for one rank. */
  between: { traffic: Traffic; seconds: Record<Way, number>; links: Links } | undefined;
  /** What the plan needs and this version does not have; empty where it can be run. */
  missing: string[];
  /** What is written and tested without hardware, and has never run on any. */
  untried: string[];
}

/** The layout that a run's options and the choice make. */
export function layoutOf({ config, machine, layout = {} }: PlanRequest): Layout {
  const weightBytes = config.precision === "bf16" ? 2 : 4;
  const exact = config.rounding === "remainder" ? "remainder" : "none";
  return {
    weightBytes,
    master: weightBytes === 4 ? "none" : exact,
    moments: config.moments,
    gradients: config.gradDtype,
    factored: config.modulationGradients === "factors" && config.loraRank === 0,
    sharding: "none",
    ...(Object.fromEntries(
      Object.entries(layout).filter(([, value]) => value !== undefined),
    ) as Partial<Layout>),
    ranks: machine.gpus * machine.nodes,
  };
}

function checkSize({ config, models }: PlanRequest): void {
  const multiple = 2 ** models.vae.channels.length; // of the latents' 2x2 packing too
  for (const side of ["height", "width"] as const)
    if (config[side] % multiple !== 0)
      throw new SrpoError(
        "ERR_CONFIG",
        `${side}: expected a multiple of ${multiple}, got ${config[side]}`,
      );
  const channels = 4 * models.vae.latentChannels;
  if (models.transformer.inChannels !== channels)
    throw new SrpoError(
      "ERR_CONFIG",
      `model: expected a transformer of ${channels} channels for this vae, got ${models.transformer.inChannels}`,
    );
}

/** What of a run decides what goes between its ranks. */
export function trafficOptionsOf(request: PlanRequest): TrafficOptions {
  const { config, models } = request;
  const layout = layoutOf(request);
  const counts = methodCounts(config);
  const all = transformerCounts(models, layout.weightBytes);
  const trained =
    config.loraRank === 0 ? all : { count: loraCount(models.transformer, config), modulation: 0 };
  const prompts = Math.ceil(config.batch / layout.ranks);
  const microBatches = Math.ceil(prompts / config.microBatch);
  const again = shareAgain(config, models);
  const backwards = (microBatches * counts.differentiated) / counts.together;
  return {
    trained: trained.count,
    weights: all.count,
    modulation: trained.modulation,
    updates: counts.passes,
    forwards: microBatches * counts.plain + (2 + again) * backwards,
    backwards: backwards / counts.passes,
  };
}

function betweenRanks(request: PlanRequest): Plan["between"] {
  const layout = layoutOf(request);
  if (layout.ranks === 1) return undefined;
  const traffic = trafficOf(layout, trafficOptionsOf(request));
  const { links } = cards[request.machine.card];
  const { ring, hierarchical } = trafficSeconds(traffic, {
    ranks: layout.ranks,
    nodes: request.machine.nodes,
    links,
  });
  return { traffic, seconds: { ring, hierarchical }, links };
}

/**
 * The memory of one device part by part, the time of an update by each rate that is known of the card, and
 * what of it all this version lacks.
 *
 * @throws SrpoError ERR_CONFIG for a size that the models do not take
 */
export function planOf(request: PlanRequest): Plan {
  checkSize(request);
  return request.config.recompute === "auto" ? fewestAgain(request).plan : fixedPlan(request);
}

/**
 * As few blocks that run again in backward as leave the rest in memory; all where not even that does.
 *
 * @returns the number, and the plan with it
 */
export function fewestAgain(request: PlanRequest): { blocks: number; plan: Plan } {
  const { depth, depthSingleBlocks } = request.models.transformer;
  const withBlocks = (blocks: number) => ({
    blocks,
    plan: fixedPlan({ ...request, config: { ...request.config, recompute: String(blocks) } }),
  });
  let least = withBlocks(0);
  if (least.plan.fits) return least;
  // More blocks never take more: the first number that fits lies above `below`, at most at `least`.
  let below = 0;
  least = withBlocks(depth + depthSingleBlocks);
  while (least.plan.fits && least.blocks - below > 1) {
    const middle = withBlocks(Math.floor((below + least.blocks) / 2));
    if (middle.plan.fits) least = middle;
    else below = middle.blocks;
  }
  return least;
}

function fixedPlan(request: PlanRequest): Plan {
  const { config, models, machine, prompts = 0 } = request;
  const { loraRank } = config;
  const card: Card = cards[machine.card];
  const layout = layoutOf(request);
  const counts = methodCounts(config);
  const workspace: Part = {
    name: "workspace",
    bytes: card.workspace,
    note: card.workspaceSource,
  };
  const parts = memoryParts(config, models, counts, { layout, prompts, workspace });
  const total = parts.reduce((sum, { bytes }) => sum + bytes, 0);
  const policy = transformerCounts(models, layout.weightBytes).count;
  const trained = loraRank === 0 ? policy : loraCount(models.transformer, config);
  const passing = parts
    .filter(({ name }) => /activations|a block/.test(name))
    .reduce((sum, { bytes }) => sum + bytes, 0);
  const bytes = Math.max(total, total - passing + savingBytes(config, trained));
  const capacity = machine.memory ?? card.memory ?? os.totalmem();
  return {
    models: models.name,
    card: card.name,
    ranks: layout.ranks,
    parts,
    bytes,
    capacity,
    capacitySource: machine.memory === undefined ? card.memorySource : "given",
    fits: bytes <= capacity,
    times: updateTimes(
      config,
      models,
      counts,
      pictureOf(config, models, counts),
      // Emulated kernels are for being right: no time is known of them.
      config.device === "emulated" ? [] : card.rates[config.precision],
      {
        layout,
        nodes: machine.nodes,
        traffic: trafficOptionsOf(request),
        links: card.links,
        lora: loraRank > 0,
      },
    ),
    between: betweenRanks(request),
    missing: missingOf(layout),
    untried: [
      ...(machine.card === "cpu" ? [] : ["the cuda device"]),
      ...(machine.card === "cpu" || layout.ranks === 1
        ? []
        : [`several ranks on GPUs (${layout.ranks}), over NCCL`]),
    ],
  };
}
