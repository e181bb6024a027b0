import path from "node:path";
import { pathToFileURL } from "node:url";
import { native } from "../native/binding.js";
import { packageRoot } from "../native/load.js";
import { command } from "./command.js";
import { threads } from "./threads.js";

interface BenchModule {
  benchMain: (options: {
    filter: string;
    full: boolean;
    rounds: number;
    roundMs: number;
    python: string | undefined;
    json: boolean;
    save: string | undefined;
    signal: AbortSignal;
  }) => Promise<number>;
}

export const benchCommand = command({
  name: "bench",
  positional: "[filter]",
  summary: "every kernel and stage on this machine, beside PyTorch where a python has it",
  schema: {
    full: { type: "boolean", default: false, help: "every shape; without it about two minutes" },
    against: {
      type: "text",
      default: "torch",
      choices: ["torch", "none"],
      help: "the opponent, timed in turns in the same run",
    },
    python: {
      type: "text",
      default: "python3",
      help: "that has torch; SRPO_BENCH_PYTHON is the same",
    },
    rounds: {
      type: "number",
      integer: true,
      min: 1,
      default: 5,
      help: "in which both sides take turns",
    },
    roundMs: { type: "number", min: 1, default: 80, help: "of one side's round, in milliseconds" },
    threads,
    save: { type: "text", help: "file for the results as JSON" },
    json: { type: "boolean", default: false, help: "results as JSON alone" },
  },
  stops: true,
  examples: [
    ["bench", "the short run"],
    ["bench linear --full", "every shape of one op"],
    ["bench ranks", "the collectives between two processes, over MPI"],
  ],
  async run({ full, against, python, rounds, roundMs, threads, save, json }, context) {
    native.cpuSetThreads(threads);
    // The benches are beside the library, not below it: loaded by path.
    const file = path.join(packageRoot, "dist", "bench", "main.js");
    const { benchMain } = (await import(pathToFileURL(file).href)) as BenchModule;
    return benchMain({
      filter: context.positional[0] ?? "",
      full,
      rounds,
      roundMs,
      python: against === "none" ? undefined : (process.env["SRPO_BENCH_PYTHON"] ?? python),
      json,
      save,
      signal: context.signal,
    });
  },
});
