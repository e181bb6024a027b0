import path from "node:path";
import { SrpoError } from "../native/error.js";
import { hasJudges, JudgeEvaluator } from "../micro/evaluation/judge_evaluator.js";
import { evaluationEvery } from "../train/evaluations.js";
import { trainConfig, trainSchema, withFullPaths, type TrainConfig } from "../train/config.js";
import { writeRunReport } from "../report/run_report.js";
import { keepOrigin } from "../train/origin.js";
import { Progress } from "../train/progress.js";
import { findResumed, readYaml, RunFolder, type Resumed } from "../train/run_folder.js";
import { resolve, type Source } from "../train/schema.js";
import { Trainer } from "../train/trainer.js";
import { inWorldsWords } from "./world_words.js";
import { command } from "./command.js";
import { dryRun, dryRunSchema, refuseWithoutDryRun } from "./dry_run.js";
import { interruptedCode } from "./interrupt.js";
import { splitFlags } from "./machine.js";

/** "runs/srpo-20260131-2359" */
function newRunName(method: string): string {
  const digits = new Date().toISOString().replaceAll(/\D/g, "");
  return path.join("runs", `${method}-${digits.slice(0, 8)}-${digits.slice(8, 14)}`);
}

// What a resumed run may change; everything else would make it another run.
const changeable = new Set([
  "resume",
  "steps",
  "threads",
  "saveEvery",
  "keep",
  "sampleEvery",
  "patience",
]);

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

/** The judges that a micro folder brings, where the run is to be evaluated and no second reward does that. */
async function judgesOf(config: TrainConfig): Promise<JudgeEvaluator | undefined> {
  const { model, evalReward, evalCount, device, precision } = config;
  if (evaluationEvery(config) === 0 || evalReward !== undefined || !hasJudges(model!))
    return undefined;
  if (device !== "cpu")
    throw new SrpoError(
      "ERR_CONFIG",
      `device: expected cpu where judges evaluate, got ${device}; name a second reward by --eval-reward`,
    );
  const dtype = precision === "bf16" ? "bfloat16" : "float32";
  return JudgeEvaluator.open(model!, { prompts: evalCount, dtype });
}

export const trainCommand = command({
  name: "train",
  positional: "[config.yaml]",
  summary: "aligns a model with a reward, from prompts to a checkpoint",
  schema: { ...trainSchema, ...dryRunSchema },
  resolvesItself: true,
  stops: true,
  examples: [
    [
      "train --preset micro --model micro --steps 20",
      "the micro model of `init micro`, on a laptop",
    ],
    ["train recipe.yaml --lr 1e-5", "options from a file, one changed"],
    [
      "train recipe.yaml --dry-run --card h20 --gpus 8",
      "whether it is right and would fit, without weights",
    ],
    [
      "train --eval-reward pickscore --keep-best score --patience 4",
      "keeps what a second reward finds best, ends when it has peaked",
    ],
    ["train --resume runs/srpo-20260131-235959", "goes on where that run was stopped"],
  ],
  async run(_, { positional, flags, signal }) {
    const [file, ...more] = positional;
    if (more.length > 0)
      throw new SrpoError("ERR_CONFIG", `train: expected one file of options, got ${more[0]} too`);
    const [ofDryRun, ofRun] = splitFlags(flags, dryRunSchema);
    const dry = resolve(dryRunSchema, [ofDryRun]);
    if (!dry.dryRun) refuseWithoutDryRun(ofDryRun.values);
    const sources: Source[] = [
      ...(file === undefined ? [] : [{ name: file, values: readYaml(file) }]),
      ofRun,
    ];
    const from = sources.findLast(({ values }) => values["resume"] !== undefined)?.values["resume"];
    const resumed = typeof from === "string" ? await findResumed(from) : undefined;
    const asked = withFullPaths(
      resumed === undefined ? trainConfig(sources) : resumedConfig(resumed, sources),
    );
    const place = () => RunFolder.planned(asked.out ?? newRunName(asked.method));
    if (dry.dryRun) {
      const config = asked.model === undefined ? asked : await inWorldsWords(asked);
      return dryRun(config, (resumed?.run ?? place()).path, dry);
    }
    if (asked.model === undefined)
      throw new SrpoError(
        "ERR_CONFIG",
        'model: expected a FLUX folder, got none; "srpo-native init micro micro" makes a small one',
      );
    const config = await inWorldsWords(asked);
    const run = resumed?.run ?? place();

    const judges = await judgesOf(config);
    const trainer = await Trainer.create(config, resumed?.checkpoint, judges);
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
      const { interrupted, checkpoint, conclusion } = await trainer.run(run, { signal, progress });
      progress.end();
      const report = await writeRunReport(run.path);
      const where = checkpoint ?? "no checkpoint yet";
      process.stderr.write(
        `${interrupted ? "stopped" : "done"} after ${trainer.step} updates: ${where}\n`,
      );
      for (const line of conclusion) process.stderr.write(`${line}\n`);
      process.stderr.write(`report: ${report}\n`);
      if (!interrupted) return 0;
      process.stderr.write(`go on by: srpo-native train --resume ${run.path}\n`);
      return interruptedCode(signal);
    } finally {
      trainer.dispose();
      judges?.dispose();
    }
  },
});
