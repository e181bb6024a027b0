import path from "node:path";
import { makeFolder, replaceFile } from "../checkpoint/durable.js";
import { SrpoError } from "../native/error.js";
import { packageRoot, packageVersion } from "../native/load.js";
import { Profiler, timers, type Taken } from "../profile/profiler.js";
import { linesOf, summaryOf } from "../profile/summary.js";
import { traceOf } from "../profile/trace.js";
import { trainConfig, trainSchema, withFullPaths, type TrainConfig } from "../train/config.js";
import { readYaml } from "../train/run_folder.js";
import { resolve, type Schema, type Source } from "../train/schema.js";
import { requireDevice } from "../train/setup.js";
import { Trainer } from "../train/trainer.js";
import { command } from "./command.js";
import { interruptedCode } from "./interrupt.js";
import { splitFlags } from "./machine.js";
import { inWorldsWords } from "./world_words.js";

const group = "profile";

const profileSchema = {
  trace: {
    type: "text",
    path: true,
    default: "profile.json",
    help: "file of the timeline, for chrome://tracing or ui.perfetto.dev",
    group,
  },
  updates: {
    type: "number",
    integer: true,
    min: 1,
    max: 1000,
    default: 1,
    help: "profiled",
    group,
  },
  first: {
    type: "number",
    integer: true,
    min: 0,
    max: 1000,
    default: 1,
    help: "updates before them, not profiled",
    group,
  },
  timer: {
    type: "text",
    default: "auto",
    choices: timers,
    help: "auto: clock on cpu and emulated; on cuda cupti where it is, else events; nvtx: stages for Nsight alone",
    group,
  },
  top: { type: "number", integer: true, min: 1, max: 1000, default: 16, help: "ops shown", group },
  depth: {
    type: "number",
    integer: true,
    min: 0,
    max: 16,
    default: 4,
    help: "levels of stages shown",
    group,
  },
  json: { type: "boolean", default: false, help: "the table as JSON", group },
} as const satisfies Schema;

/** Below this share of the time the device is waiting for something that no op says. */
const wellCovered = 0.9;

/** A run's options; without a model the micro one that comes with the package. */
async function configOf(file: string | undefined, flags: Source): Promise<TrainConfig> {
  const sources: Source[] = [
    ...(file === undefined ? [] : [{ name: file, values: readYaml(file) }]),
    flags,
  ];
  const named = sources.some(({ values }) => values["model"] !== undefined);
  const shipped = { preset: "micro", model: path.join(packageRoot, "assets", "micro") };
  const config = trainConfig(named ? sources : [{ name: "profile", values: shipped }, ...sources]);
  if (config.resume !== undefined)
    throw new SrpoError("ERR_CONFIG", "resume: expected none here, got a run");
  return inWorldsWords(withFullPaths(config));
}

export const profileCommand = command({
  name: "profile",
  positional: "[config.yaml]",
  summary: "where the time of a training step goes: a timeline of every op, and a table",
  schema: { ...trainSchema, ...profileSchema },
  resolvesItself: true,
  stops: true,
  examples: [
    ["profile", "a step of the micro model that comes with the package"],
    ["profile recipe.yaml --device cuda:0 --trace step.json", "a step of a recipe on a GPU"],
    [
      "profile --method refl --device emulated --height 32 --width 32 --batch 1 --micro-batch 1",
      "any option of `train`",
    ],
  ],
  async run(_, { positional, flags, signal }) {
    const [file, ...more] = positional;
    if (more.length > 0)
      throw new SrpoError(
        "ERR_CONFIG",
        `profile: expected one file of options, got ${more[0]} too`,
      );
    const [ofProfile, ofRun] = splitFlags(flags, profileSchema);
    const { trace, updates, first, timer, top, depth, json } = resolve(profileSchema, [ofProfile]);
    const config = await configOf(file, ofRun);
    await makeFolder(path.dirname(path.resolve(trace)));
    const device = requireDevice(config.device);
    const trainer = await Trainer.create(config);
    try {
      for (let i = 1; i <= first && !signal.aborted; ++i) {
        process.stderr.write(`profile: update ${i} of ${first}, not profiled\n`);
        await trainer.update(i);
      }
      if (signal.aborted) return interruptedCode(signal);
      const profiler = await Profiler.start(device, timer);
      let taken: Taken;
      try {
        for (let i = 1; i <= updates && !signal.aborted; ++i) await trainer.update(first + i);
      } finally {
        taken = await profiler.stop();
      }
      const { method, preset, precision, batch, microBatch, height, width } = config;
      const sizes = { batch, microBatch, height, width };
      const version = packageVersion;
      const about = { version, device, updates, method, preset, precision, ...sizes };
      const text = Buffer.from(JSON.stringify(traceOf(taken, about)));
      await replaceFile(trace, (sink) => sink.write(text));
      const summary = summaryOf(taken);
      if (json)
        process.stdout.write(
          `${JSON.stringify({ ...about, timer: taken.timer, trace, ...summary })}\n`,
        );
      else
        process.stdout.write(
          `${linesOf(summary, { most: top, depth }).join("\n")}\ntimeline: ${trace}\n`,
        );
      if (summary.covered < wellCovered && timer !== "nvtx")
        process.stderr.write(
          `profile: ${(100 * (1 - summary.covered)).toFixed(0)} % of the time is no op's: the device waited for the host (loading, JavaScript, reads), or another device worked\n`,
        );
      return signal.aborted ? interruptedCode(signal) : 0;
    } finally {
      trainer.dispose();
    }
  },
});
