// Every bench, in the order in which it is printed. Called by `srpo-native bench`.
import { writeFileSync } from "node:fs";
import os from "node:os";
import { native } from "../ts/native/binding.js";
import { packageVersion } from "../ts/native/load.js";
import { cases as attention } from "./ops/attention/attention.bench.js";
import { cases as qkvNormRope } from "./ops/attention/qkv_norm_rope.bench.js";
import { cases as conv } from "./ops/conv/conv2d.bench.js";
import { cases as linear } from "./ops/gemm/linear.bench.js";
import { cases as groupNorm } from "./ops/norm/group_norm.bench.js";
import { cases as norm } from "./ops/norm/modulated_layer_norm.bench.js";
import { cases as resize } from "./ops/resample/resize_crop_normalize.bench.js";
import { cases as update } from "./ops/update/adamw.bench.js";
import { cases as micro } from "./micro/render.bench.js";
import { cases as flux } from "./models/flux.bench.js";
import { cases as step } from "./train/srpo_step.bench.js";
import { rankCounts, ranksResults } from "./ranks/ranks.js";
import type { BenchCase, BenchOptions, BenchResult } from "./support/case.js";
import { torchOpponent } from "./support/opponent.js";
import { lineOf, runCase } from "./support/run.js";

const cases: readonly BenchCase[] = [
  ...linear,
  ...attention,
  ...qkvNormRope,
  ...conv,
  ...norm,
  ...groupNorm,
  ...resize,
  ...update,
  ...flux,
  ...step,
  ...micro,
];

export interface BenchRun {
  version: string;
  machine: { cpu: string; instructionSet: string; threads: number; node: string };
  opponent: string;
  results: BenchResult[];
}

export interface BenchCall extends BenchOptions {
  /** A python that may have torch. */
  python: string | undefined;
  json: boolean;
  /** File for the results as JSON. */
  save: string | undefined;
  signal: AbortSignal;
}

const collectives = ["allReduce", "reduceScatter", "allGather", "ranks"];

/** The collectives are no part of the short run: they are a job of their own. */
function wantsRanks({ filter, full }: BenchOptions): boolean {
  if (filter === "") return full;
  return collectives.some((name) => name.includes(filter) || filter.startsWith(name));
}

/** Runs the cases that the options want and prints a line each. */
export async function benchMain(options: BenchCall): Promise<number> {
  const opponent = options.python === undefined ? undefined : await torchOpponent(options.python);
  const run: BenchRun = {
    version: packageVersion,
    machine: {
      cpu: os.cpus()[0]?.model ?? "unknown",
      instructionSet: native.cpuInstructionSet(),
      threads: native.cpuThreads(),
      node: process.version,
    },
    opponent: opponent?.greeting ?? "none",
    results: [],
  };
  const { machine } = run;
  const print = (line: string) => {
    if (!options.json) process.stdout.write(`${line}\n`);
  };
  print(
    `${machine.cpu}, ${machine.instructionSet}, ${machine.threads} threads; beside it: ${run.opponent}`,
  );
  for (const one of cases) {
    if (options.signal.aborted) break;
    if (!one.name.includes(options.filter) || (one.full === true && !options.full)) continue;
    const result = await runCase(one, opponent, options);
    run.results.push(result);
    print(lineOf(result));
  }
  opponent?.end();
  if (wantsRanks(options))
    for (const ranks of rankCounts(options.full)) {
      const results = await ranksResults(ranks, options, options.signal);
      if (results === undefined)
        print(`${ranks} ranks: skipped, there is no mpirun or no MPI in this build`);
      for (const result of results ?? []) print(lineOf(result));
      run.results.push(...(results ?? []));
    }
  const ratios = run.results.flatMap(({ torch }) => (torch === undefined ? [] : [torch.ratio]));
  if (ratios.length > 0) {
    const mean = Math.exp(ratios.reduce((sum, r) => sum + Math.log(r), 0) / ratios.length);
    print(`geometric mean against torch: ${mean.toFixed(2)} x over ${ratios.length} lines`);
  }
  if (options.json) process.stdout.write(`${JSON.stringify(run)}\n`);
  if (options.save !== undefined) writeFileSync(options.save, `${JSON.stringify(run, null, 2)}\n`);
  return options.signal.aborted ? 130 : 0;
}
