import os from "node:os";
import path from "node:path";
import { SrpoError } from "../native/error.js";
import { hasJudges, JudgeEvaluator } from "../micro/evaluation/judge_evaluator.js";
import { evaluationEvery } from "../train/evaluations.js";
import { trainConfig, trainSchema, withFullPaths, type TrainConfig } from "../train/config.js";
import { writeRunReport } from "../report/run_report.js";
import { keepOrigin } from "../train/origin.js";
import { Progress } from "../train/progress.js";
import { readPlace, type RankPlace } from "../ranks/place.js";
import {
  ofRank,
  openRanks,
  RankLog,
  requireSameOptions,
  requireSharedFolder,
} from "../train/together.js";
import { findResumed, readYaml, RunFolder, type Resumed } from "../train/run_folder.js";
import { resolve, type Source } from "../train/schema.js";
import { Trainer } from "../train/trainer.js";
import { inWorldsWords } from "./world_words.js";
import { command } from "./command.js";
import { dryRun, dryRunSchema, refuseWithoutDryRun } from "./dry_run.js";
import { interruptedCode } from "./interrupt.js";
import { splitFlags } from "./machine.js";
import { memoryOf, type Device } from "../tensor/device.js";
import { decideRecompute, withAdvice } from "./memory_plan.js";

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

interface Asked {
  config: TrainConfig;
  resumed: Resumed | undefined;
}

/** What is to be run: by options, or as the run that is gone on with. A job that was started again goes on. */
async function askedFor(
  sources: readonly Source[],
  from: string | undefined,
  { restarts }: RankPlace,
): Promise<Asked> {
  if (from !== undefined) {
    const resumed = await findResumed(from);
    return { config: withFullPaths(resumedConfig(resumed, sources)), resumed };
  }
  const config = withFullPaths(trainConfig(sources));
  if (restarts === 0 || config.out === undefined || !RunFolder.isRun(config.out))
    return { config, resumed: undefined };
  const resumed = await findResumed(config.out);
  return { config: withFullPaths(resumedConfig(resumed, [])), resumed };
}

/**
 * Runs a trainer that is ready; the first of several ranks shows it.
 *
 * @param asked - the run's options, before what is a rank's own
 * @returns the exit code
 */
async function train(
  trainer: Trainer,
  asked: TrainConfig,
  run: RunFolder,
  signal: AbortSignal,
): Promise<number> {
  const { config, ranks } = trainer;
  if (await ranks.any(signal.aborted)) return interruptedCode(signal);
  const say = (line: string) => void (ranks.isFirst && process.stderr.write(`${line}\n`));
  await ranks.first(async () => {
    await run.create(asked);
    await keepOrigin(run.path);
  });
  await requireSharedFolder(ranks, run);
  const log = ranks.size === 1 ? undefined : new RankLog(run, ranks.rank);
  log?.line(`rank ${ranks.rank} of ${ranks.size} on ${os.hostname()}, ${config.device}`);
  const progress = ranks.isFirst
    ? new Progress({ unit: "updates", total: config.steps, done: trainer.step })
    : undefined;
  say(`run folder: ${run.path}`);
  const { interrupted, checkpoint, conclusion } = await trainer.run(run, {
    signal,
    progress,
    log: log && ((line) => log.line(line)),
  });
  progress?.end();
  const report = await ranks.first(() => writeRunReport(run.path));
  const where = checkpoint ?? "no checkpoint yet";
  say(`${interrupted ? "stopped" : "done"} after ${trainer.step} updates: ${where}`);
  for (const line of conclusion) say(line);
  say(`report: ${report}`);
  const { peak } = memoryOf(config.device as Device);
  log?.line(
    `${interrupted ? "stopped" : "done"} after ${trainer.step} updates; at most ${peak} bytes of the device`,
  );
  if (!interrupted) return 0;
  say(`go on by: srpo-native train --resume ${run.path}`);
  return interruptedCode(signal);
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
    const place = readPlace();
    const asked = await askedFor(sources, typeof from === "string" ? from : undefined, place);
    const { config: whole, resumed } = asked;
    const planned = () => RunFolder.planned(whole.out ?? newRunName(whole.method));
    if (dry.dryRun) {
      const config = whole.model === undefined ? whole : await inWorldsWords(whole);
      return dryRun(config, (resumed?.run ?? planned()).path, dry);
    }
    if (whole.model === undefined)
      throw new SrpoError(
        "ERR_CONFIG",
        'model: expected a FLUX folder, got none; "srpo-native init micro micro" makes a small one',
      );
    const worded = await inWorldsWords(whole);
    const ranks = await openRanks(ofRank(worded, place), place);
    await requireSameOptions(ranks, worded);
    const recompute = await decideRecompute(ofRank(worded, place), ranks);
    const full = { ...worded, recompute };
    const config = ofRank(full, place);
    const run = new RunFolder(await ranks.first(async () => (resumed?.run ?? planned()).path));
    const checkpoint = await ranks.first(async () => resumed?.checkpoint);

    const judges = await judgesOf(config);
    let trainer: Trainer | undefined;
    let code: number;
    try {
      trainer = await Trainer.create(config, checkpoint, judges, ranks);
      code = await train(trainer, full, run, signal);
    } catch (error) {
      throw await withAdvice(error, config, ranks.size);
    } finally {
      trainer?.dispose();
      judges?.dispose();
    }
    // In good order only: a rank that failed leaves the others at once.
    await ranks.communicator.dispose();
    return code;
  },
});
