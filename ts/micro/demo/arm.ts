// One run: trains an arm with the ordinary trainer, looks at it on the way, judges what it became, keeps that.
//
//   PLACE/prompts.txt                     what all train on: captions of the `training` split
//   PLACE/<arm>-<key>/seed-<n>/training/  an ordinary run's folder
//   PLACE/<arm>-<key>/seed-<n>/figures.json, pictures/
//
// The key is a hash of everything that the figures depend on: what is there under it need not be computed again.
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { makeFolder, replaceFile } from "../../checkpoint/durable.js";
import { removeFolder } from "../../checkpoint/folder.js";
import type { Policy } from "../../methods/method.js";
import { native } from "../../native/binding.js";
import { SrpoError } from "../../native/error.js";
import { writeRunReport } from "../../report/run_report.js";
import { trainConfig, type TrainConfig } from "../../train/config.js";
import { readMetrics } from "../../train/metrics.js";
import { keepOrigin } from "../../train/origin.js";
import { Progress } from "../../train/progress.js";
import { findResumed, RunFolder } from "../../train/run_folder.js";
import { Trainer } from "../../train/trainer.js";
import { evaluate, promptsOf, type Evaluation } from "../evaluation/evaluate.js";
import { JudgeEvaluator } from "../evaluation/judge_evaluator.js";
import type { Lab } from "./lab.js";
import { keepResult, readResult, type ArmResult, type CurvePoint } from "./result.js";
import { common, type Arm, type Options } from "./settings.js";

/** Captions that methods train on; a multiple of the block in which attributes are balanced. */
const trainingPrompts = 960;
/** Prompts whose first picture is kept and shown: the first of the split, none chosen. */
export const shownPrompts = 12;

export interface ArmRun {
  arm: Arm;
  /** Laid over the arm's own options. */
  options?: Options;
  seed: string;
  updates: number;
  /** Whether training can go on from it, or others open it; else its 30 MB are removed once it is judged. */
  keepCheckpoint: boolean;
}

function optionsOf({ arm, options }: ArmRun): Options {
  return { ...common, ...arm.options, ...options };
}

/** Where a run is kept. */
export function folderOf({ place, weights, budget }: Lab, run: ArmRun): string {
  const trained = run.arm.options !== undefined;
  // Looks change nothing but the curve.
  const { lookEvery: _, ...judged } = budget;
  const what = trained
    ? { options: optionsOf(run), updates: run.updates, judged, weights, trainingPrompts }
    : { judged, weights };
  const key = createHash("sha256").update(JSON.stringify(what)).digest("hex").slice(0, 8);
  const folder = path.join(place, `${run.arm.name}-${key}`);
  return trained ? path.join(folder, `seed-${run.seed}`) : folder;
}

/** Writes the prompts that all arms train on, unless they are there. */
async function promptsFile(place: string): Promise<string> {
  const file = path.join(place, "prompts.txt");
  const text = promptsOf("training", trainingPrompts)
    .map(({ caption }) => `${caption}\n`)
    .join("");
  await makeFolder(place);
  if (existsSync(file) && readFileSync(file, "utf8") === text) return file;
  await replaceFile(file, (sink) => sink.write(Buffer.from(text)));
  return file;
}

async function judge(lab: Lab, policy: Policy, what: string): Promise<Evaluation> {
  const { world, budget, signal } = lab;
  process.stderr.write(
    `${what}: ${budget.prompts * budget.pictures} pictures of ${budget.prompts} prompts, drawn and judged\n`,
  );
  let progress: Progress | undefined;
  try {
    return await evaluate(world, policy, {
      ...budget,
      seeds: budget.pictures,
      signal,
      onProgress: (done, total) => {
        progress ??= new Progress({ unit: "steps", total });
        progress.update(done);
      },
    });
  } finally {
    progress?.end();
  }
}

/** Trains, or goes on with, the run; undefined if the signal ended it before. */
async function train(lab: Lab, run: ArmRun, folder: string): Promise<string | undefined> {
  const values = {
    ...optionsOf(run),
    model: lab.model,
    prompts: await promptsFile(lab.place),
    seed: run.seed,
    steps: run.updates,
    sampleEvery: 0,
    saveEvery: 10,
    keep: 1,
    threads: lab.threads,
    evalEvery: lab.budget.lookEvery,
  };
  const config: TrainConfig = trainConfig([{ name: run.arm.name, values }]);
  const runFolder = new RunFolder(folder);
  const checkpoint = existsSync(runFolder.config)
    ? (await findResumed(folder)).checkpoint
    : undefined;
  // Curves only: nothing is chosen by them. One picture a prompt.
  const judges = JudgeEvaluator.on(lab.world, { ...lab.budget, seeds: 1 });
  const trainer = await Trainer.create(config, checkpoint, judges);
  try {
    await runFolder.create(config);
    await keepOrigin(folder);
    process.stderr.write(`${run.arm.title}, seed ${run.seed}: ${run.updates} updates\n`);
    const progress = new Progress({ unit: "updates", total: run.updates, done: trainer.step });
    const end = await trainer.run(runFolder, { signal: lab.signal, progress });
    progress.end();
    await writeRunReport(folder);
    return end.interrupted ? undefined : end.checkpoint;
  } finally {
    trainer.dispose();
    judges.dispose();
  }
}

/** What the run's own metrics say of it. */
function fromMetrics(folder: string): Pick<ArmResult, "cost" | "curve"> {
  const rows = readMetrics(new RunFolder(folder).metrics) as Readonly<Record<string, number>>[];
  const sum = (name: string) => rows.reduce((total, row) => total + (row[name] ?? 0), 0);
  const curve = rows
    .filter((row) => row["eval/realism"] !== undefined)
    .map((row): CurvePoint => {
      const of = (name: string) => row[`eval/${name}`] ?? Number.NaN;
      return {
        step: row["step"]!,
        realism: of("realism"),
        alignment: of("alignment"),
        reward: of("reward"),
        sgp: of("sgp"),
        hacked: of("hacked"),
      };
    });
  const cost = {
    forwards: sum("forwards"),
    backwards: sum("backwards"),
    seconds: sum("seconds"),
    evaluationSeconds: 0,
  };
  return { cost, curve };
}

async function measure(lab: Lab, run: ArmRun, folder: string): Promise<ArmResult | undefined> {
  const training = path.join(folder, "training");
  const { budget, weights, world } = lab;
  let from = lab.model;
  let measured: Pick<ArmResult, "cost" | "curve"> = {
    cost: { forwards: 0, backwards: 0, seconds: 0, evaluationSeconds: 0 },
    curve: [],
  };
  const trained = run.arm.options !== undefined;
  if (trained) {
    const checkpoint = await train(lab, run, training);
    if (checkpoint === undefined) return undefined;
    from = checkpoint;
    measured = fromMetrics(training);
  }
  const policy = await world.openPolicy(from);
  try {
    const { figures, pictures, judged, seconds } = await judge(lab, policy, run.arm.title);
    const shown = Array.from(
      { length: Math.min(shownPrompts, budget.prompts) },
      (_, i) => i * budget.pictures,
    );
    return {
      arm: run.arm.name,
      seed: trained ? run.seed : undefined,
      updates: trained ? run.updates : 0,
      options: trained ? optionsOf(run) : {},
      budget,
      weights,
      figures,
      cost: { ...measured.cost, evaluationSeconds: seconds },
      curve: measured.curve,
      pictures: shown.map((at) => pictures[at]!),
      captions: shown.map((at) => judged[at]!.asked.caption),
    };
  } finally {
    policy.dispose();
  }
}

/**
 * The result of a run: what is kept of it, or trained and measured now. A run that the signal ends is gone on with
 * by the next call, to the same bits.
 *
 * @returns undefined if the signal came first
 * @throws SrpoError ERR_CONFIG for options that `train` does not know, ERR_CHECKPOINT, ERR_NOT_FINITE
 */
export async function runArm(lab: Lab, run: ArmRun): Promise<ArmResult | undefined> {
  const folder = folderOf(lab, run);
  const kept = readResult(folder);
  if (kept !== undefined) return kept;
  if (lab.signal.aborted) return undefined;
  native.cpuSetThreads(lab.threads);
  let result: ArmResult | undefined;
  try {
    result = await measure(lab, run, folder);
  } catch (error) {
    if (lab.signal.aborted && error === lab.signal.reason) return undefined;
    throw error instanceof SrpoError && error.code === "ERR_CONFIG"
      ? new SrpoError("ERR_CONFIG", `${run.arm.name}: ${error.message}`, { cause: error })
      : error;
  }
  if (result === undefined) return undefined;
  await keepResult(folder, result);
  if (!run.keepCheckpoint) await removeCheckpoints(path.join(folder, "training"));
  return result;
}

async function removeCheckpoints(training: string): Promise<void> {
  const { checkpoints } = new RunFolder(training);
  if (existsSync(checkpoints)) await removeFolder(checkpoints);
}
