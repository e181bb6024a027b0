import path from "node:path";
import { pathToFileURL } from "node:url";
import { native } from "../native/binding.js";
import { SrpoError } from "../native/error.js";
import { packageRoot } from "../native/load.js";
import { deviceOption } from "../train/config.js";
import { requireDevice } from "../train/setup.js";
import { command } from "./command.js";
import { threads } from "./threads.js";

interface BenchModule {
  benchMain: (options: {
    device: string;
    sizes: string;
    budget: number | undefined;
    compile: boolean;
    trace: string | undefined;
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
    device: deviceOption,
    sizes: {
      type: "text",
      choices: ["small", "flux", "tiny"],
      help: "small: for two cores, the cpu's default; flux: FLUX.1-dev's at 720 and 1024 pixels, a GPU's; tiny: no figures, the emulated device's",
    },
    full: { type: "boolean", default: false, help: "every shape; without it about two minutes" },
    against: {
      type: "text",
      default: "torch",
      choices: ["torch", "none"],
      help: "the opponent, timed in turns in the same run",
    },
    compile: {
      type: "boolean",
      help: "torch.compile where it is faster; default on a GPU",
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
    budget: {
      type: "number",
      min: 1,
      help: "seconds after which no further case is begun; default 100 for the cpu's short run",
    },
    threads,
    trace: {
      type: "text",
      help: "file for a timeline of a case's ops (sizes flux and tiny), as `profile` writes it",
    },
    save: { type: "text", help: "file for the results as JSON" },
    json: { type: "boolean", default: false, help: "results as JSON alone" },
  },
  stops: true,
  examples: [
    ["bench", "the short run"],
    ["bench linear --full", "every shape of one op"],
    ["bench ranks", "the collectives between two processes, over MPI"],
    ["bench linear,attention --device cuda:0", "at FLUX's shapes on a GPU, against its limits"],
  ],
  async run({ full, against, python, rounds, roundMs, threads, save, json, ...rest }, context) {
    const device = requireDevice(rest.device);
    const onGpu = device.startsWith("cuda");
    const ownSizes = device === "cpu" ? "small" : onGpu ? "flux" : "tiny";
    const sizes = rest.sizes ?? ownSizes;
    if (sizes === "small" && device !== "cpu")
      throw new SrpoError("ERR_CONFIG", `sizes: expected flux or tiny on ${device}, got small`);
    if (sizes === "small" && rest.trace !== undefined)
      throw new SrpoError("ERR_CONFIG", "trace: expected sizes flux or tiny beside it, got small");
    native.cpuSetThreads(threads);
    // The benches are beside the library, not below it: loaded by path.
    const file = path.join(packageRoot, "dist", "bench", "main.js");
    const { benchMain } = (await import(pathToFileURL(file).href)) as BenchModule;
    return benchMain({
      device,
      sizes,
      budget: rest.budget ?? (sizes === "small" && !full ? 100 : undefined),
      trace: rest.trace,
      compile: rest.compile ?? onGpu,
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
