// Every bench, in the order in which it is printed. Called by `srpo-native bench`.
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import os from "node:os";
import { native } from "../ts/native/binding.js";
import { packageVersion } from "../ts/native/load.js";
import { commitOf } from "./device/card.js";
import type { Device } from "../ts/tensor/device.js";
import * as attention from "./ops/attention/attention.bench.js";
import * as attentionMlp from "./ops/attention/attention_mlp.bench.js";
import * as qkvNormRope from "./ops/attention/qkv_norm_rope.bench.js";
import * as qkvProjection from "./ops/attention/qkv_projection.bench.js";
import * as conv from "./ops/conv/conv2d.bench.js";
import * as linear from "./ops/gemm/linear.bench.js";
import * as linearPair from "./ops/gemm/linear_pair.bench.js";
import * as groupNorm from "./ops/norm/group_norm.bench.js";
import * as norm from "./ops/norm/modulated_layer_norm.bench.js";
import * as recover from "./ops/recovery/recover.bench.js";
import * as resize from "./ops/resample/resize_crop_normalize.bench.js";
import * as update from "./ops/update/adamw.bench.js";
import * as micro from "./micro/render.bench.js";
import * as autoencoder from "./models/autoencoder.bench.js";
import * as flux from "./models/flux.bench.js";
import * as twoTower from "./models/two_tower.bench.js";
import * as step from "./train/srpo_step.bench.js";
import { rankCounts, ranksResults } from "./ranks/ranks.js";
import { packageRoot } from "../ts/native/load.js";
import type { BenchCase, BenchOptions, BenchResult } from "./support/case.js";
import { setBenchDevice } from "./support/inputs.js";
import { measureLimits, type Limits } from "./support/limits.js";
import { torchOpponent } from "./support/opponent.js";
import { lineOf, runCase, type OnDevice } from "./support/run.js";
import { fluxSizes, tinySizes, type Sizes } from "./support/sizes.js";

/** Shapes that two cores can run. */
const small: readonly BenchCase[] = [
  linear,
  linearPair,
  attention,
  qkvNormRope,
  qkvProjection,
  attentionMlp,
  conv,
  norm,
  groupNorm,
  resize,
  update,
  flux,
  step,
  micro,
].flatMap(({ cases }) => cases);

/** Those of FLUX.1-dev, or tiny ones in their place. */
export const casesOf = (sizes: Sizes): BenchCase[] =>
  [
    linear,
    linearPair,
    attention,
    norm,
    qkvNormRope,
    qkvProjection,
    attentionMlp,
    recover,
    conv,
    groupNorm,
    resize,
    flux,
    autoencoder,
    twoTower,
    update,
    step,
  ].flatMap(({ fluxCases }) => fluxCases(sizes));

export interface BenchRun {
  version: string;
  commit: string;
  date: string;
  device: Device;
  sizes: "small" | Sizes["name"];
  machine: {
    cpu: string;
    instructionSet: string;
    threads: number;
    node: string;
    /** "cuda:0: NVIDIA H200, ..." */
    gpu?: string;
    /** Clocks, power and temperature before the cases and after them, as nvidia-smi has them. */
    state?: (string | undefined)[];
  };
  opponent: string;
  limits?: Limits;
  results: BenchResult[];
  finished: boolean;
}

export interface BenchCall extends BenchOptions {
  device: Device;
  sizes: BenchRun["sizes"];
  /** Seconds after which no further case is begun. */
  budget: number | undefined;
  /** A python that may have torch. */
  python: string | undefined;
  compile: boolean;
  json: boolean;
  /** File for the results as JSON. */
  save: string | undefined;
  /** File for the timeline of a case's last call; further cases' get a number. */
  trace: string | undefined;
  signal: AbortSignal;
}

function gpuState(): string | undefined {
  const fields = "clocks.sm,clocks.mem,power.draw,temperature.gpu";
  const { status, stdout } = spawnSync("nvidia-smi", [`--query-gpu=${fields}`, "--format=csv"], {
    encoding: "utf8",
    timeout: 10_000,
  });
  return status === 0 ? stdout.trim().split("\n").slice(0, 2).join("; ") : undefined;
}

/** Bytes of the device's memory. */
function memoryOfDevice(device: Device): number {
  if (!device.startsWith("cuda")) return os.totalmem();
  const line = native
    .cudaText()
    .split("\n")
    .find((text) => text.startsWith(`${device}: `));
  const mebibytes = line?.match(/(\d+) MiB/)?.[1];
  return mebibytes === undefined ? 0 : Number(mebibytes) * 2 ** 20;
}

function machineOf(device: Device): BenchRun["machine"] {
  return {
    cpu: os.cpus()[0]?.model ?? "unknown",
    instructionSet: native.cpuInstructionSet(),
    threads: native.cpuThreads(),
    node: process.version,
    ...(device.startsWith("cuda") ? { gpu: native.cudaText(), state: [gpuState()] } : {}),
  };
}

const percent = (rate: number, unit: string): string => `${(rate / 1e12).toFixed(2)} T${unit}`;

function limitsLine({ flops, bytes, of, product }: Limits): string {
  return `limits: ${percent(flops, "FLOP/s")} (${of.flops}, product of ${product}), ${percent(bytes, "B/s")} (${of.bytes}, copy)`;
}

const collectives = ["allReduce", "reduceScatter", "allGather", "ranks"];

/** The collectives are no part of the short run: they are a job of their own, on the cpu. */
function wantsRanks({ filter, full, sizes }: BenchCall): boolean {
  if (sizes !== "small") return false;
  if (filter === "") return full;
  return collectives.some((name) => name.includes(filter) || filter.startsWith(name));
}

/** Runs the cases that the options want and prints a line each. */
export async function benchMain(options: BenchCall): Promise<number> {
  const { device, python, compile, save, signal } = options;
  const opponent =
    python === undefined ? undefined : await torchOpponent(python, torchName(device), { compile });
  const started = performance.now(); // a python that starts slowly takes no case's time
  const run: BenchRun = {
    version: packageVersion,
    commit: commitOf(packageRoot),
    date: new Date().toISOString(),
    device,
    sizes: options.sizes,
    machine: machineOf(device),
    opponent: opponent?.greeting ?? "none",
    results: [],
    finished: false,
  };
  // Kept after every case: one that takes the process with it leaves the others'.
  const keep = () => {
    if (save !== undefined) writeFileSync(save, `${JSON.stringify(run, null, 2)}\n`);
  };
  const print = (line: string) => {
    if (!options.json) process.stdout.write(`${line}\n`);
  };
  const { cpu, instructionSet, threads, gpu } = run.machine;
  print(`${gpu ?? `${cpu}, ${instructionSet}, ${threads} threads`}; beside it: ${run.opponent}`);
  setBenchDevice(device);
  let on: OnDevice | undefined;
  const sizes = options.sizes === "flux" ? fluxSizes : tinySizes;
  if (options.sizes !== "small") {
    const limits = await measureLimits(device, sizes, opponent);
    run.limits = limits;
    on = { device, limits, memory: memoryOfDevice(device), trace: tracesOf(options.trace) };
    print(limitsLine(limits));
  }
  for (const one of options.sizes === "small" ? small : casesOf(sizes)) {
    if (signal.aborted) break;
    if (!wanted(one, options)) continue;
    if (late(started, options.budget)) {
      run.results.push({ name: one.name, why: one.why, skipped: "no time was left" });
      continue;
    }
    const result = await runCase(one, opponent, options, on).catch((error: unknown) => {
      if (on === undefined) throw error;
      const { name, why } = one;
      return { name, why, error: error instanceof Error ? error.message : String(error) };
    });
    run.results.push(result);
    keep();
    print(lineOf(result));
  }
  opponent?.end();
  if (wantsRanks(options))
    for (const ranks of rankCounts(options.full)) {
      const results = await ranksResults(ranks, options, signal);
      if (results === undefined)
        print(`${ranks} ranks: skipped, there is no mpirun or no MPI in this build`);
      for (const result of results ?? []) print(lineOf(result));
      run.results.push(...(results ?? []));
    }
  run.machine.state?.push(gpuState());
  run.finished = !signal.aborted;
  keep();
  const left = run.results.filter(({ skipped }) => skipped === "no time was left").length;
  if (left > 0) print(`${left} lines left out: no time was left (--budget)`);
  const ratios = run.results.flatMap(({ torch }) => (torch === undefined ? [] : [torch.ratio]));
  if (options.sizes === "tiny")
    print("tiny sizes: they show that the benches work; none of this is a figure");
  else if (ratios.length > 0) {
    const mean = Math.exp(ratios.reduce((sum, r) => sum + Math.log(r), 0) / ratios.length);
    print(`geometric mean against torch: ${mean.toFixed(2)} x over ${ratios.length} lines`);
  }
  if (options.json) process.stdout.write(`${JSON.stringify(run)}\n`);
  if (signal.aborted) return 130;
  return run.results.some(({ error }) => error !== undefined) ? 1 : 0;
}

/** A filter of several words, any of which a case's name may include: "linear,attention". */
function wanted({ name, full }: BenchCase, options: BenchOptions): boolean {
  if (full === true && !options.full) return false;
  return options.filter.split(",").some((word) => name.includes(word));
}

/** FILE, then FILE with -2 before its ending, -3, ... */
function tracesOf(file: string | undefined): (() => string) | undefined {
  let count = 0;
  return file === undefined
    ? undefined
    : () => (++count === 1 ? file : file.replace(/(\.[^./]*)?$/, `-${count}$1`));
}

const late = (started: number, budget: number | undefined): boolean =>
  budget !== undefined && performance.now() - started > budget * 1000;

/** What torch calls the device that ours is timed on. */
const torchName = (device: Device): string => (device.startsWith("cuda") ? device : "cpu");
