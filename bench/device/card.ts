import { spawnSync } from "node:child_process";

/** The GPU that a run is for. */
export interface Card {
  name: string;
  driver: string;
  computeCapability: string;
  memory: string;
}

function output(command: string, args: readonly string[]): string | undefined {
  const { status, stdout } = spawnSync(command, args, { encoding: "utf8", timeout: 20_000 });
  return status === 0 ? stdout.trim() : undefined;
}

/** The first card that nvidia-smi names, from a line such as "NVIDIA H200, 570.1, 9.0, 143771 MiB". */
export function parseCard(line: string): Card | undefined {
  const [name, driver, computeCapability, memory] = line.split(",").map((word) => word.trim());
  if (name === undefined || driver === undefined || computeCapability === undefined)
    return undefined;
  return { name, driver, computeCapability, memory: memory ?? "" };
}

/** The card of this machine; undefined without one or without its driver. */
export function readCard(): Card | undefined {
  const fields = "--query-gpu=name,driver_version,compute_cap,memory.total";
  const text = output("nvidia-smi", [fields, "--format=csv,noheader"]);
  return text === undefined || text === "" ? undefined : parseCard(text.split("\n")[0]!);
}

/** The release of nvcc, such as "13.0"; undefined without nvcc. */
export function nvccVersion(): string | undefined {
  return output("nvcc", ["--version"])?.match(/release ([\d.]+)/)?.[1];
}

/** Whether a program is there. */
export function hasProgram(name: string): boolean {
  return output(name, ["--version"]) !== undefined;
}

/** The commit of the tree, with "+changes" if it is not clean; "unknown" outside git. */
export function commitOf(root: string): string {
  const commit = output("git", ["-C", root, "rev-parse", "HEAD"]);
  if (commit === undefined) return "unknown";
  return commit + (output("git", ["-C", root, "status", "--porcelain", "-uno"]) ? "+changes" : "");
}

/**
 * SRPO_CUPTI for our processes, where libcupti of CUDA 13 lies in no place that a loader looks in: a toolkit's
 * folder, or a python's packages.
 */
export function cuptiOf(python: string): NodeJS.ProcessEnv {
  const given = process.env["SRPO_CUPTI"];
  if (given !== undefined) return { SRPO_CUPTI: given };
  const inPython = output(python, ["-c", "import sys; print(' '.join(p for p in sys.path if p))"]);
  const folders = [
    "/usr/local/cuda*/extras/CUPTI/lib64",
    "/usr/local/cuda*/lib64",
    "/usr/local/cuda*/lib",
    "/usr/local/cuda*/targets/*/lib",
    ...(inPython ?? "")
      .split(" ")
      .filter((folder) => /^[\w./+-]+$/.test(folder))
      .map((folder) => `${folder}/nvidia/*/lib`),
  ];
  const names = folders.map((folder) => `${folder}/libcupti.so.13`).join(" ");
  const found = output("sh", ["-c", `ls -d ${names} 2>/dev/null | head -n 1`]);
  return found === undefined || found === "" ? {} : { SRPO_CUPTI: found };
}

/** Why this machine cannot run the device steps, in one line; undefined if it can. */
export function refusal(
  card: Card | undefined,
  tools: { nvcc: string | undefined; cmake: boolean },
): string | undefined {
  if (card === undefined)
    return "no NVIDIA GPU: expected a Hopper card (H100, H200, H20) that nvidia-smi lists, got none";
  if (card.computeCapability !== "9.0")
    return (
      `unsupported card: expected compute capability 9.0 (H100, H200, H20: the kernels are built for ` +
      `sm_90a alone), got ${card.name} with ${card.computeCapability}`
    );
  if (tools.nvcc === undefined) return "no nvcc: expected CUDA 13's nvcc on PATH";
  if (Number.parseInt(tools.nvcc, 10) < 13) return `nvcc: expected 13 or newer, got ${tools.nvcc}`;
  if (!tools.cmake) return "no cmake: expected cmake on PATH";
  return undefined;
}
