// The memory of a run that begins: what it will take by plan, and with `recompute: auto` how much of the transformer's
// activations the device has room for; and where memory was used up all the same, what would take less.
import { listImages } from "../data/images.js";
import { codeOf, SrpoError } from "../native/error.js";
import { native } from "../native/binding.js";
import { modelsOf } from "../plan/models.js";
import { savings } from "../plan/nearest.js";
import { fewestAgain, type Plan, type PlanRequest } from "../plan/plan.js";
import { size } from "../plan/print.js";
import type { CardName } from "../plan/rates.js";
import { memoryLeft } from "../tensor/device.js";
import { readPrompts, shippedPromptsFile } from "../text/prompts.js";
import type { TrainConfig } from "../train/config.js";
import type { Ranks } from "../train/ranks.js";
import { requireDevice } from "../train/setup.js";

// Of what is free: the pool's blocks are larger than what they hold, and a plan is within a tenth.
const usable = 0.88;

/** Of the cards whose figures there are, the one that a device is or is most like. */
function cardOf(device: string): CardName {
  if (!device.startsWith("cuda")) return "cpu";
  const said = native.cudaText();
  return said.includes("H20,") ? "h20" : said.includes("H200") ? "h200" : "h100";
}

async function promptsOf({ images, embeddings, prompts }: TrainConfig): Promise<number> {
  if (embeddings !== undefined) return 0; // read as they are needed
  if (images !== undefined) return listImages(images).length;
  return (await readPrompts(prompts ?? shippedPromptsFile)).length;
}

/** The run as it is to be here; several ranks share a machine's memory, but not a card's. */
async function requestHere(config: TrainConfig, ranks: number): Promise<PlanRequest> {
  const device = requireDevice(config.device);
  const { free } = memoryLeft(device);
  const card = cardOf(device);
  const own = card === "cpu" ? free / ranks : free;
  return {
    config,
    models: modelsOf(config),
    machine: { card, gpus: ranks, nodes: 1, memory: usable * own },
    layout: { sharding: ranks > 1 ? "zero1" : "none" },
    prompts: await promptsOf(config),
  };
}

/** "memory: 61.20 GB of 118.00 GB planned: ..." and what the blocks do. */
export function decisionLines(plan: Plan, blocks: number, total: number): string[] {
  const largest = plan.parts.toSorted((a, b) => b.bytes - a.bytes).slice(0, 5);
  const parts = largest.map(({ name, bytes }) => `${name} ${size(bytes)}`).join(", ");
  const kept =
    blocks === 0
      ? `all ${total} keep what they save`
      : `${blocks} of ${total} run again in backward`;
  return [
    `memory: ${size(plan.bytes)} planned, ${size(plan.capacity)} usable${plan.fits ? "" : ": it may not suffice"}; ${parts}`,
    `transformer blocks: ${kept}`,
  ];
}

/**
 * The run's `recompute`, decided where it is `auto`: as few blocks run again as every rank has room for the rest. Says
 * so on stderr, before anything is loaded.
 */
export async function decideRecompute(config: TrainConfig, ranks: Ranks): Promise<string> {
  if (config.recompute !== "auto") return config.recompute;
  // A place that is not there is the loading's to refuse, in its own words.
  const request = await requestHere(config, ranks.size).catch(() => undefined);
  const mine = request && fewestAgain(request);
  const all = await ranks.gather(mine?.blocks ?? null);
  if (request === undefined || mine === undefined || all.includes(null)) return "all";
  const blocks = Math.max(...all.map(Number));
  const { depth, depthSingleBlocks } = request.models.transformer;
  if (ranks.isFirst)
    for (const line of decisionLines(mine.plan, blocks, depth + depthSingleBlocks))
      process.stderr.write(`${line}\n`);
  return String(blocks);
}

/** The error; one of memory that is used up with the options that would take less. */
export async function withAdvice(
  error: unknown,
  config: TrainConfig,
  ranks: number,
): Promise<unknown> {
  if (codeOf(error) !== "ERR_OUT_OF_MEMORY") return error;
  try {
    const helps = savings(await requestHere(config, ranks)).slice(0, 4);
    if (helps.length === 0) return error;
    const said = helps.map(({ says, bytes }) => `${says} (${size(bytes)} less)`).join(", ");
    return new SrpoError("ERR_OUT_OF_MEMORY", `${(error as Error).message}\nby plan: ${said}`, {
      cause: error,
    });
  } catch {
    return error; // what went wrong first is what is told
  }
}
