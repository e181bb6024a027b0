import path from "node:path";
import { SrpoError } from "../native/error.js";
import { trainConfig, trainSchema, withFullPaths, type TrainConfig } from "../train/config.js";
import { writeRunReport } from "../report/run_report.js";
import { keepOrigin } from "../train/origin.js";
import { Progress } from "../train/progress.js";
import { findResumed, readYaml, RunFolder, type Resumed } from "../train/run_folder.js";
import type { Source } from "../train/schema.js";
import { Trainer } from "../train/trainer.js";
import { command } from "./command.js";
import { interruptedCode } from "./interrupt.js";

/** "runs/srpo-20260131-2359" */
function newRunName(method: string): string {
  const digits = new Date().toISOString().replaceAll(/\D/g, "");
  return path.join("runs", `${method}-${digits.slice(0, 8)}-${digits.slice(8, 14)}`);
}

// What a resumed run may change; everything else would make it another run.
const changeable = new Set(["resume", "steps", "threads", "saveEvery", "keep", "sampleEvery"]);

function resumedConfig(resumed: Resumed, sources: readonly Source[]): TrainConfig {
  const foreign = sources.flatMap(({ values, problems = [] }) =>
    problems.length > 0 ? [] : Object.keys(values).filter((name) => !changeable.has(name)),
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
  stops: true,
  examples: [
    [
      "train --preset micro --model micro --steps 20",
      "the micro model of `init micro`, on a laptop",
    ],
    ["train recipe.yaml --lr 1e-5", "options from a file, one changed"],
    ["train --resume runs/srpo-20260131-235959", "goes on where that run was stopped"],
  ],
  async run(_, { positional, flags, signal }) {
    const [file, ...more] = positional;
    if (more.length > 0)
      throw new SrpoError("ERR_CONFIG", `train: expected one file of options, got ${more[0]} too`);
    const sources: Source[] = [
      ...(file === undefined ? [] : [{ name: file, values: readYaml(file) }]),
      flags,
    ];
    const from = sources.findLast(({ values }) => values["resume"] !== undefined)?.values["resume"];
    const resumed = typeof from === "string" ? await findResumed(from) : undefined;
    const config = withFullPaths(
      resumed === undefined ? trainConfig(sources) : resumedConfig(resumed, sources),
    );
    if (config.model === undefined)
      throw new SrpoError(
        "ERR_CONFIG",
        'model: expected a FLUX folder, got none; "srpo-native init micro micro" makes a small one',
      );
    const run = resumed?.run ?? RunFolder.planned(config.out ?? newRunName(config.method));

    const trainer = await Trainer.create(config, resumed?.checkpoint);
    try {
      if (signal.aborted) return interruptedCode(signal);
      await run.create(config);
      await keepOrigin(run.path);
      const progress = new Progress({
        unit: "updates",
        total: config.steps,
        done: trainer.step,
      });
      process.stderr.write(`run folder: ${run.path}\n`);
      const { interrupted, checkpoint } = await trainer.run(run, { signal, progress });
      progress.end();
      const report = await writeRunReport(run.path);
      const where = checkpoint ?? "no checkpoint yet";
      process.stderr.write(
        `${interrupted ? "stopped" : "done"} after ${trainer.step} updates: ${where}\n`,
      );
      process.stderr.write(`report: ${report}\n`);
      if (!interrupted) return 0;
      process.stderr.write(`go on by: srpo-native train --resume ${run.path}\n`);
      return interruptedCode(signal);
    } finally {
      trainer.dispose();
    }
  },
});
