// Several ranks on this machine: compiled children under mpirun.
import { spawnSync } from "node:child_process";
import path from "node:path";
import { packageRoot } from "../../ts/native/load.js";
import { hasMpi } from "../../ts/ranks/mpi.js";
import { startProgram, type Running } from "./running.js";

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
  return startProgram("mpirun", [...mpirunFlags, "-n", String(ranks), ...command], {
    cwd,
    env,
    timeout,
  });
}

/** A compiled child of the tests, as a command: "ranks/collectives_child". */
export function child(name: string, ...args: string[]): string[] {
  return [process.execPath, path.join(packageRoot, "dist", "test", `${name}.js`), ...args];
}
