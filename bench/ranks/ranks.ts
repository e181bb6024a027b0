// The ranks' line of the bench: collectives over MPI between processes of this machine.
import { spawn } from "node:child_process";
import path from "node:path";
import { packageRoot } from "../../ts/native/load.js";
import { mpirunFlags } from "../../ts/ranks/local_job.js";
import { hasMpi } from "../../ts/ranks/mpi.js";
import type { DType } from "../../ts/tensor/dtype.js";
import type { BenchOptions, BenchResult } from "../support/case.js";

/** What a rank says of a case; times in microseconds, a value a round. */
export interface RanksLine {
  op: string;
  dtype: DType;
  ranks: number;
  /** Of the tensor on one rank. */
  bytes: number;
  /** That a rank must send at least. */
  sent: number;
  times: number[];
  copies: number[];
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}

function resultOf({ op, dtype, ranks, bytes, sent, times, copies }: RanksLine): BenchResult {
  const [time, copy] = [median(times), median(copies)];
  const size = bytes >= 1 << 20 ? `${bytes >> 20} MiB` : `${bytes} bytes`;
  const isWord = bytes < 1 << 20;
  return {
    name: `${op}  ${dtype}  ${size}  ranks=${ranks} over MPI`,
    why: isWord ? "a word that the ranks agree on" : "a bucket of gradients or weights",
    microseconds: { median: time, minimum: Math.min(...times) },
    ...(isWord
      ? {}
      : {
          gigabytesPerSecond: sent / time / 1000,
          copy: { microseconds: copy, ratio: sent / time / (bytes / copy) },
        }),
  };
}

/** How many ranks a run has; 4 are more than the small machine has cores, and are said to be. */
export const rankCounts = (full: boolean): readonly number[] => (full ? [2, 4] : [2]);

/**
 * Runs the collectives under mpirun, if the filter wants them.
 *
 * @returns undefined where MPI is not
 */
export async function ranksResults(
  ranks: number,
  { rounds, filter }: BenchOptions,
  signal: AbortSignal,
): Promise<BenchResult[] | undefined> {
  if (!hasMpi()) return undefined;
  const program = path.join(packageRoot, "dist", "bench", "ranks", "collectives.js");
  const args = [...mpirunFlags(), "-n", String(ranks), process.execPath, program, String(rounds)];
  const child = spawn("mpirun", args, { stdio: ["ignore", "pipe", "inherit"], signal });
  let output = "";
  child.stdout.on("data", (text) => (output += String(text)));
  const code = await new Promise<number>((resolve) => {
    child.once("error", () => resolve(127));
    child.once("close", (ended) => resolve(ended ?? 1));
  });
  if (code === 127 || signal.aborted) return undefined;
  if (code !== 0) throw new Error(`bench: ranks: mpirun ended with exit code ${code}`);
  return output
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => resultOf(JSON.parse(line) as RanksLine))
    .filter(({ name }) => name.includes(filter) || filter === "ranks");
}
