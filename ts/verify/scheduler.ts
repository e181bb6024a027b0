import { ConfigReader } from "../nn/config_reader.js";
import { combine } from "../ops/index.js";
import { linspace } from "../sampler/float32.js";
import {
  bflSigmas,
  dynamicMu,
  inferenceSigmas,
  shiftedSigmas,
  type FlowMatchSchedule,
} from "../sampler/schedule.js";
import type { Tensor } from "../tensor/tensor.js";
import type { ReplayRun } from "./replay.js";

/** goldens/README.md: two units in the last place. */
const sigmaTolerance = 2.4e-7;

function scheduleOf(json: unknown): FlowMatchSchedule {
  const read = new ConfigReader(json, "scheduler config");
  const schedule = {
    shift: read.number("shift"),
    useDynamicShifting: read.boolean("use_dynamic_shifting"),
    baseShift: read.number("base_shift"),
    maxShift: read.number("max_shift"),
    baseImageSeqLen: read.count("base_image_seq_len"),
    maxImageSeqLen: read.count("max_image_seq_len"),
  };
  read.check();
  return schedule;
}

/** What a key of the fixture stands for, by its name; undefined for what is compared elsewhere. */
function sigmasOf(key: string): Float32Array | undefined {
  const bfl = /^out\.bfl\.n(\d+)\.seq(\d+)$/.exec(key);
  if (bfl) return bflSigmas(Number(bfl[1]), Number(bfl[2]));
  const table = /^out\.srpo\.shift([\d.]+)\.n(\d+)$/.exec(key);
  if (table) return shiftedSigmas(Number(table[2]), Number(table[1]));
  const train = /^out\.srpo_train\.shift([\d.]+)\.n(\d+)\.t(\d+)-(\d+)\.len(\d+)$/.exec(key);
  if (!train) return undefined;
  const [shift, n, a, b, length] = train.slice(1).map(Number);
  const all = shiftedSigmas(n!, shift!);
  return linspace(all[a!]!, all[b!]!, length!);
}

/** Every schedule, and Euler steps along one of them. */
export async function replayScheduler(run: ReplayRun): Promise<void> {
  const { fixture, comparison } = run;
  const close = { tolerance: sigmaTolerance };
  const configs = fixture.config.configs as Readonly<Record<string, unknown>>;
  const cases = fixture.config.cases as Readonly<
    Record<string, { config: string; steps: number; image_seq_len: number; mu: number | null }>
  >;
  for (const [name, { config, steps, image_seq_len, mu }] of Object.entries(cases)) {
    const schedule = scheduleOf(configs[config]);
    const own = schedule.useDynamicShifting ? dynamicMu(schedule, image_seq_len) : undefined;
    if (mu !== null && own !== undefined && Math.abs(own - mu) > 1e-12)
      comparison.fail(`out.${name}.sigmas`, `mu: expected ${mu}, got ${own}`);
    const sigmas = inferenceSigmas(steps, schedule, own);
    await comparison.add(`out.${name}.sigmas`, sigmas, close);
    const timesteps = sigmas.slice(0, -1).map((sigma) => 1000 * sigma);
    if (run.has(`out.${name}.timesteps`))
      await comparison.add(`out.${name}.timesteps`, timesteps, close);
  }
  for (const key of fixture.keys) {
    const sigmas = sigmasOf(key);
    if (sigmas !== undefined) await comparison.add(key, sigmas, close);
  }
  await replaySteps(run, scheduleOf(configs["static3"]));
}

async function replaySteps(run: ReplayRun, schedule: FlowMatchSchedule): Promise<void> {
  if (!run.has("in.step.sample0")) return;
  let steps = 0;
  while (run.has(`out.step.sample${steps + 1}`)) ++steps;
  const sigmas = inferenceSigmas(steps, schedule, undefined);
  let x: Tensor = await run.tensor("in.step.sample0", { dtype: "float32" });
  for (let i = 0; i < steps; ++i) {
    const velocity = await run.tensor(`in.step.velocity${i}`, { dtype: "float32" });
    x = combine(x, velocity, { x: 1, y: Math.fround(sigmas[i + 1]! - sigmas[i]!) });
    await run.compare(`out.step.sample${i + 1}`, x);
  }
}
