import { existsSync, readFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { spawnSync } from "node:child_process";
import type { Binding } from "../native/binding.js";
import { addonPath, packageRoot, packageVersion } from "../native/load.js";
import { command } from "./command.js";

interface Finding {
  what: string;
  found: string;
  /** What to do, where something is missing. */
  advice?: string;
}

/** The line of a program's version that has a number, or undefined if it is not there. */
function versionOf(program: string): string | undefined {
  const { status, stdout } = spawnSync(program, ["--version"], { encoding: "utf8" });
  const line = stdout?.split("\n").find((text) => /\d+\.\d+/.test(text));
  return status === 0 ? (line?.trim() ?? "there") : undefined;
}

function gpus(): Finding {
  if (!existsSync("/dev/nvidiactl"))
    return { what: "GPU", found: "none", advice: "the cpu device needs none" };
  const { status, stdout } = spawnSync(
    "nvidia-smi",
    ["--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"],
    { encoding: "utf8" },
  );
  return {
    what: "GPU",
    found: status === 0 ? stdout.trim().replaceAll("\n", "; ") : "there, nvidia-smi silent",
  };
}

function emulated(native: Binding, there: boolean): Finding {
  const what = "device emulated";
  if (!there) return { what, found: "not built", advice: "npm run build:emulated" };
  const rows = Object.values(native.opRows("emulated"));
  return { what, found: `there, ${rows.filter(Boolean).length} of ${rows.length} ops` };
}

/** What the addon says of itself, or why it does not load. */
async function addon(): Promise<Finding[]> {
  let native: Binding;
  let openEmulated: () => boolean;
  try {
    ({ native } = await import("../native/binding.js"));
    ({ openEmulated } = await import("../native/emulated.js"));
  } catch (error) {
    const found = error instanceof Error ? error.message : String(error);
    return [{ what: "addon", found: `missing: ${found}` }];
  }
  const rows = native.opRows("cpu");
  const names = Object.keys(rows);
  const missing = names.filter((name) => rows[name] === false);
  return [
    { what: "addon", found: addonPath },
    { what: "device cpu", found: `${native.cpuInstructionSet()}, ${native.cpuThreads()} threads` },
    {
      what: "ops on cpu",
      found: `${names.length - missing.length} of ${names.length}`,
      ...(missing.length > 0 ? { advice: `missing: ${missing.join(", ")}` } : {}),
    },
    emulated(native, openEmulated()),
    {
      what: "device cuda",
      found: native.cudaText().replaceAll("\n", "; "),
      ...(native.hasDevice("cuda:0")
        ? {}
        : { advice: "npm run build:cuda, on a machine with nvcc" }),
    },
  ];
}

/** What moves tensors between ranks, where there are several. */
async function engines(): Promise<Finding[]> {
  try {
    const { mpiPath, hasMpi } = await import("../ranks/mpi.js");
    const { ncclVersion } = await import("../ranks/nccl.js");
    const { native } = await import("../native/binding.js");
    const of = (what: string, say: () => string): Finding => {
      try {
        return { what, found: say() };
      } catch (error) {
        const [found = "", ...more] = (error as Error).message.split(". ");
        return {
          what,
          found: `none: ${found}`,
          ...(more.length > 0 && { advice: more.join(". ") }),
        };
      }
    };
    const mpi = hasMpi()
      ? of("MPI", () => native.mpiVersion(mpiPath).split(",")[0]!)
      : {
          what: "MPI",
          found: "not built",
          advice: "for several ranks without GPUs: apt-get install openmpi-bin libopenmpi-dev",
        };
    return [mpi, of("NCCL", ncclVersion)];
  } catch {
    return []; // without the addon, which has a line of its own
  }
}

async function findings(): Promise<Finding[]> {
  const whyNot = path.join(packageRoot, "build", "why-not.txt");
  return [
    { what: "srpo-native", found: packageVersion },
    { what: "Node", found: process.version },
    { what: "system", found: `${os.type()} ${os.release()} ${os.arch()}` },
    { what: "memory", found: `${Math.round(os.totalmem() / 2 ** 30)} GiB` },
    { what: "cores", found: `${os.availableParallelism()}, ${os.cpus()[0]?.model ?? "unknown"}` },
    ...(await addon()),
    ...(await engines()),
    ...(existsSync(whyNot)
      ? [{ what: "last build", found: readFileSync(whyNot, "utf8").trim().split("\n")[0]! }]
      : []),
    gpus(),
    ...(["c++", "cmake", "make", "python3", "nvcc"] as const).map((program) => ({
      what: program,
      found: versionOf(program) ?? "not found",
    })),
  ];
}

export const doctorCommand = command({
  name: "doctor",
  summary: "what this machine has, what was built, what is missing and what to do",
  schema: { json: { type: "boolean", default: false, help: "as JSON" } },
  examples: [["doctor", ""]],
  async run({ json }) {
    const all = await findings();
    if (json) process.stdout.write(`${JSON.stringify(all)}\n`);
    else
      for (const { what, found, advice } of all)
        process.stdout.write(`${what.padEnd(16)} ${found}${advice ? `  (${advice})` : ""}\n`);
    return 0;
  },
});
