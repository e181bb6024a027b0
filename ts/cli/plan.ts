import { existsSync } from "node:fs";
import { trainConfig, trainSchema } from "../train/config.js";
import { readYaml } from "../train/run_folder.js";
import { resolve, type Schema } from "../train/schema.js";
import { SrpoError } from "../native/error.js";
import { masters } from "../plan/layouts.js";
import { modelsOf } from "../plan/models.js";
import { nearestThatFits } from "../plan/nearest.js";
import { planOf, type PlanRequest } from "../plan/plan.js";
import { planLines, scaleLines } from "../plan/print.js";
import { cards } from "../plan/rates.js";
import { scaleOf } from "../plan/scale.js";
import { readPrompts, shippedPromptsFile } from "../text/prompts.js";
import { command } from "./command.js";
import { machineSchema, splitFlags } from "./machine.js";

const layoutSchema = {
  master: {
    type: "text",
    choices: masters,
    help: "of bf16 weights; default by the run's rounding",
    group: "layout",
  },
  scale: {
    type: "boolean",
    default: false,
    help: "the same run on 1 to 512 nodes: what goes between ranks, and how long it takes",
    group: "machine",
  },
  json: { type: "boolean", default: false, help: "as JSON" },
} as const satisfies Schema;

const own = { ...machineSchema, ...layoutSchema };

/** A file, if it is on this machine: a plan may be for another one, and the package's list stands for its prompts. */
function here(file: string | undefined): string | undefined {
  return file !== undefined && existsSync(file) ? file : undefined;
}

export const planCommand = command({
  name: "plan",
  positional: "[config.yaml]",
  summary: "memory and time of a run on N devices of a kind, before it starts",
  schema: { ...trainSchema, ...own },
  resolvesItself: true,
  examples: [
    ["plan --card h200", "FLUX.1-dev, the published recipe, on one H200"],
    ["plan recipe.yaml --card h20 --gpus 8 --nodes 4", "a recipe on 32 of them"],
    ["plan --card h20 --gpus 8 --scale", "the same on 1 to 512 nodes of eight"],
    ["plan --model micro --preset micro", "the sizes of a folder's config files, on this machine"],
  ],
  async run(_, { positional, flags }) {
    const [file, ...more] = positional;
    if (more.length > 0)
      throw new SrpoError("ERR_CONFIG", `plan: expected one file of options, got ${more[0]} too`);
    const [mine, ofRun] = splitFlags(flags, own);
    const recipe = file === undefined ? [] : [{ name: file, values: readYaml(file) }];
    const config = trainConfig([...recipe, ofRun]);
    const { card, gpus, nodes, memory, sharding, json, scale, ...layout } = resolve(own, [mine]);
    const request: PlanRequest = {
      config,
      models: modelsOf(config),
      machine: { card, gpus, nodes, memory: memory === undefined ? undefined : memory * 1e9 },
      layout: {
        ...layout,
        sharding:
          sharding ?? (gpus * nodes > 1 ? (`zero${config.zero}` as "zero1" | "zero2") : "none"),
      },
      prompts: (await readPrompts(here(config.prompts) ?? shippedPromptsFile)).length,
    };
    if (scale) {
      const rows = scaleOf(request);
      process.stdout.write(
        json ? `${JSON.stringify(rows)}\n` : `${scaleLines(rows, cards[card]).join("\n")}\n`,
      );
      return 0;
    }
    const plan = planOf(request);
    const nearest = plan.fits ? undefined : nearestThatFits(request);
    process.stdout.write(
      json
        ? `${JSON.stringify({ ...plan, ...nearest })}\n`
        : `${planLines(plan, config.steps, nearest).join("\n")}\n`,
    );
    return 0;
  },
});
