// Several ranks on this machine: compiled children under mpirun.
import { spawn, spawnSync } from "node:child_process";
import path from "node:path";
import { packageRoot } from "../../ts/native/load.js";
import { hasMpi } from "../../ts/ranks/mpi.js";
import type { Ended, Running } from "./cli.js";

/** Whether ranks can be started here; tests that need them are skipped where not. */
export const hasMpirun: boolean =
  hasMpi() && spawnSync("mpirun", ["--version"], { stdio: "ignore" }).status === 0;

/** What mpirun needs as root and on few cores; one thread a rank. */
export const mpirunFlags: readonly string[] = [
  ...(process.getuid?.() === 0 ? ["--allow-run-as-root"] : []),
  "--oversubscribe",
];

/** Starts `ranks` processes of this command. */
export function startRanks(
  ranks: number,
  command: readonly string[],
  { cwd = packageRoot, env = {}, timeout = 60_000 } = {},
): Running {
  const child = spawn("mpirun", [...mpirunFlags, "-n", String(ranks), ...command], {
    cwd,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
    timeout,
    killSignal: "SIGKILL",
  });
  const soFar = { stdout: "", stderr: "" };
  child.stdout.on("data", (text) => (soFar.stdout += String(text)));
  child.stderr.on("data", (text) => (soFar.stderr += String(text)));
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => {
      resolve({ code, signal, ...soFar });
    });
  });
  return { process: child, soFar, ended };
}

/** A compiled child of the tests, as a command: "ranks/collectives_child". */
export function child(name: string, ...args: string[]): string[] {
  return [process.execPath, path.join(packageRoot, "dist", "test", `${name}.js`), ...args];
}
