import path from "node:path";
import { SrpoError } from "../native/error.js";
import { trainConfig, trainSchema, type TrainConfig } from "../train/config.js";
import { Progress } from "../train/progress.js";
import { findResumed, readYaml, RunFolder, type Resumed } from "../train/run_folder.js";
import type { Source } from "../train/schema.js";
import { Trainer } from "../train/trainer.js";
import { command } from "./command.js";

/** "runs/srpo-20260131-2359" */
function newRunName(method: string): string {
  const digits = new Date().toISOString().replaceAll(/\D/g, "");
  return path.join("runs", `${method}-${digits.slice(0, 8)}-${digits.slice(8, 14)}`);
}

// What a resumed run may change; everything else would make it another run.
const changeable = new Set(["resume", "steps", "threads", "saveEvery", "keep", "sampleEvery"]);

function resumedConfig(resumed: Resumed, sources: readonly Source[]): TrainConfig {
  const foreign = sources.flatMap(({ values }) =>
    Object.keys(values).filter((name) => !changeable.has(name)),
  );
  if (foreign.length > 0)
    throw new SrpoError(
      "ERR_CONFIG",
      `resume: expected only ${[...changeable].join(", ")} beside it, got ${foreign.join(", ")}`,
    );
  return trainConfig([{ name: resumed.run.config, values: resumed.options }, ...sources]);
}

export const trainCommand = command({
  name: "train",
  positional: "[config.yaml]",
  summary: "aligns a model with a reward, from prompts to a checkpoint",
  schema: trainSchema,
  resolvesItself: true,
  examples: [
    [
      "train --preset micro --model micro --steps 20",
      "the micro model of `init micro`, on a laptop",
    ],
    ["train recipe.yaml --lr 1e-5", "options from a file, one changed"],
    ["train --resume runs/srpo-20260131-235959", "goes on where that run was stopped"],
  ],
  async run(_, { positional, given, signal }) {
    const [file, ...more] = positional;
    if (more.length > 0)
      throw new SrpoError("ERR_CONFIG", `train: expected one file of options, got ${more[0]} too`);
    const sources: Source[] = [
      ...(file === undefined ? [] : [{ name: file, values: readYaml(file) }]),
      { name: "--", values: given },
    ];
    const from = sources.findLast(({ values }) => values["resume"] !== undefined)?.values["resume"];
    const resumed = typeof from === "string" ? await findResumed(from) : undefined;
    const config = resumed === undefined ? trainConfig(sources) : resumedConfig(resumed, sources);
    if (config.model === undefined)
      throw new SrpoError(
        "ERR_CONFIG",
        'model: expected a FLUX folder, got none; "srpo-native init micro micro" makes a small one',
      );

    const trainer = await Trainer.create(config, resumed?.checkpoint);
    try {
      const run = resumed?.run ?? RunFolder.create(config.out ?? newRunName(config.method), config);
      const progress = new Progress({
        unit: "updates",
        total: config.steps,
        done: trainer.step,
      });
      process.stderr.write(`run folder: ${run.path}\n`);
      const end = await trainer.run(run, { signal, progress });
      progress.end();
      process.stderr.write(
        `${end.interrupted ? "stopped" : "done"} after ${trainer.step} updates: ${end.checkpoint}\n`,
      );
      if (end.interrupted)
        process.stderr.write(`go on by: srpo-native train --resume ${run.path}\n`);
      return end.interrupted ? 130 : 0;
    } finally {
      trainer.dispose();
    }
  },
});
