// One command for a GPU machine with nvcc and cmake, with or without npm and network:
//
//   node dist/bench/device.js [--out DIR] [--budget SECONDS] [--only STEP,...] [--python PYTHON] [--dry-run]
//
// Builds the addon with its cuda column, then conformance, op tests, goldens, a training step, benches beside
// torch, a profile and the sanitizer on cuda:0. Each step is a process, or many, with a limit of its own: one that
// hangs or crashes leaves the others' results. They are kept as they come, in DIR/<card>-<date>.json. Exit 0 if
// every step passed, 1 if not, 2 for a wrong command line.
//
// --dry-run does the same on the emulated device, small and with what is built here: is the script right?
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { addonPath, packageRoot } from "../ts/native/load.js";
import {
  commitOf,
  cuptiOf,
  hasProgram,
  nvccVersion,
  readCard,
  refusal,
  type Card,
} from "./device/card.js";
import { stepNames, steps, type Place } from "./device/steps.js";
import type { StepResult } from "./device/step.js";

/** A dry run shares its machine with whatever else there is: its limits are so many times longer. */
const dryPatience = 16;

interface Options {
  out: string;
  budget: number;
  only: readonly string[];
  python: string;
  dry: boolean;
}

/** What is kept of a run. */
interface Kept {
  card: Card | null;
  cuda: string | null;
  commit: string;
  node: string;
  cores: number;
  date: string;
  /** Why nothing was run. */
  refused?: string;
  finished: boolean;
  steps: StepResult[];
}

/** The options, or what is wrong with the command line. */
function parseOptions(args: readonly string[]): Options | string {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        out: { type: "string", default: path.join(packageRoot, "bench", "results") },
        budget: { type: "string", default: "540" },
        only: { type: "string", default: stepNames.join(",") },
        python: { type: "string", default: "python3" },
        "dry-run": { type: "boolean", default: false },
      },
    });
    const budget = Number(values.budget);
    if (!(budget >= 10 && budget <= 86_400))
      return `--budget: expected 10 to 86400 seconds, got ${values.budget}`;
    const only = values.only.split(",");
    const odd = only.find((name) => !stepNames.includes(name));
    if (odd !== undefined) return `--only: expected of ${stepNames.join(", ")}; got "${odd}"`;
    const { python, "dry-run": dry } = values;
    return { out: path.resolve(values.out), budget, only, python, dry };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** "NVIDIA H200" as a file's name. */
function fileName(card: Card | undefined, date: string, dry: boolean): string {
  const name = dry ? "dry-run" : card === undefined ? "no-gpu" : card.name.replace(/^NVIDIA /, "");
  return `${name.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-")}-${date.slice(0, 10)}.json`;
}

function rowOf(step: StepResult): string {
  const last = step.tail.trim().split("\n").at(-1) ?? "";
  return `${step.outcome.padEnd(9)}  ${step.name.padEnd(14)}  ${step.seconds.toFixed(1).padStart(6)} s  ${last.slice(0, 200)}`;
}

async function main(args: readonly string[]): Promise<number> {
  const options = parseOptions(args);
  if (typeof options === "string") {
    process.stderr.write(`device: ${options.split("\n")[0]}\n`);
    return 2;
  }
  const started = performance.now();
  const { dry } = options;
  const card = dry ? undefined : readCard();
  const nvcc = nvccVersion();
  const date = new Date().toISOString();
  const kept: Kept = {
    card: card ?? null,
    cuda: nvcc ?? null,
    commit: commitOf(packageRoot),
    node: process.version,
    cores: os.availableParallelism(),
    date,
    finished: false,
    steps: [],
  };
  mkdirSync(options.out, { recursive: true });
  const file = path.join(options.out, fileName(card, date, dry));
  const keep = (): void => writeFileSync(file, `${JSON.stringify(kept, null, 2)}\n`);
  const refused = dry ? undefined : refusal(card, { nvcc, cmake: hasProgram("cmake") });
  if (refused !== undefined) {
    kept.refused = refused;
    keep();
    process.stderr.write(`device: ${refused}\n`);
    return 1;
  }
  const machine = dry ? "dry run" : `${card!.name}, driver ${card!.driver}, CUDA ${nvcc}`;
  process.stdout.write(`${machine}, ${kept.cores} cores, ${kept.commit}\n`);
  const device = dry ? "emulated" : "cuda:0";
  const build = dry
    ? path.dirname(path.dirname(addonPath))
    : path.join(packageRoot, "build", "device");
  const place: Place = {
    root: packageRoot,
    build,
    out: options.out,
    device,
    dry,
    python: options.python,
    cores: kept.cores,
    tests: readdirSync(path.join(packageRoot, "dist", "test"), { recursive: true })
      .map(String)
      .filter((name) => name.endsWith(".test.js"))
      .filter((name) =>
        readFileSync(path.join(packageRoot, "dist", "test", name), "utf8").includes(
          "forEachDevice(",
        ),
      ),
    env: {
      ...process.env,
      // CMakeLists.txt asks node for the folders of its headers.
      PATH: `${path.dirname(process.execPath)}${path.delimiter}${process.env["PATH"] ?? ""}`,
      SRPO_ADDON: dry ? addonPath : path.join(build, "srpo_native.node"),
      SRPO_TEST_DEVICES: device,
      ...cuptiOf(options.python),
      SRPO_SKIP_BUILD: "1",
      NO_COLOR: "1",
    },
  };
  const failed = new Set<string>();
  for (const step of steps) {
    if (!options.only.includes(step.name)) continue;
    const left = options.budget - (performance.now() - started) / 1000;
    const missing = step.needs.find((name) => failed.has(name));
    const result: StepResult =
      missing !== undefined || left < 5
        ? {
            name: step.name,
            outcome: "skipped",
            seconds: 0,
            tail: missing === undefined ? "no time was left" : `${missing} did not pass`,
          }
        : await step
            .run(place, Math.min(step.limit * (dry ? dryPatience : 1), left))
            .catch((error: unknown) => ({
              name: step.name,
              outcome: "failed" as const,
              seconds: 0,
              tail: error instanceof Error ? (error.stack ?? error.message) : String(error),
            }));
    // What this machine has not is no failure; a step that never came is.
    const absent = result.outcome === "skipped" && missing === undefined && left >= 5;
    if (result.outcome !== "passed" && !absent) failed.add(step.name);
    kept.steps.push(result);
    keep();
    process.stdout.write(`${rowOf(result)}\n`);
  }
  kept.finished = true;
  keep();
  process.stdout.write(`${file}\n`);
  return failed.size === 0 ? 0 : 1;
}

process.exit(await main(process.argv.slice(2)));
