// `train` on several ranks of this machine, on a micro folder of the test file's own.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { readMetrics, type MetricsRow } from "../../ts/train/metrics.js";
import { at, bin, start, type Ended, type Running } from "./cli.js";
import { startRanks } from "./mpirun.js";

// Prompts one a forward, so that any split of them makes the same sums.
const small =
  "--preset micro --precision f32 --height 16 --width 16 --batch 4 --micro-batch 1 --rollout-steps 2 " +
  "--sample-count 2 --sample-steps 2 --sample-every 0 --save-every 0";

/** The arguments of a small run into a folder of this name; what is given replaces. */
export function rankTraining(out: string, ...more: string[]): string[] {
  const flags = small.split(" ").filter((_, i, all) => !more.includes(all[i - (i % 2)]!));
  return ["train", ...flags, "--model", at("micro"), "--out", at(out), ...more];
}

/** Starts a command line on so many ranks; one needs no mpirun. */
export function startOn(ranks: number, args: readonly string[], timeout = 240_000): Running {
  if (ranks === 1) return start(args);
  return startRanks(ranks, [process.execPath, bin, ...args], { cwd: at(), timeout });
}

export async function succeedOn(
  ranks: number,
  args: readonly string[],
  timeout?: number,
): Promise<Ended> {
  const ended = await startOn(ranks, args, timeout).ended;
  assert.equal(ended.code, 0, `${ranks} ranks: ${args.join(" ")}: ${ended.stderr}`);
  return ended;
}

export const rowsOf = (run: string): MetricsRow[] => readMetrics(at(run, "metrics.jsonl"));

/** Every value of a row but those of the clock. */
export function withoutClock(row: MetricsRow): Record<string, number> {
  const clock = /^(?:seconds|promptsPerSecond|waited\/\d+)$/;
  return Object.fromEntries(Object.entries(row).filter(([name]) => !clock.test(name)));
}

/** What training goes on from, of the checkpoint of a step: file by file. */
export function stateOf(run: string, step: number): Map<string, Buffer> {
  const place = at(run, "checkpoints", `step-${String(step).padStart(6, "0")}`);
  const state = path.join(place, "state");
  const files = readdirSync(state)
    .toSorted()
    .map((name) => [name, readFileSync(path.join(state, name))] as const);
  const weights = path.join(place, "transformer/diffusion_pytorch_model.safetensors");
  return new Map([...files, ["weights", dataOf(readFileSync(weights))]]);
}

/** A safetensors file without its header, which names the run. */
function dataOf(file: Buffer): Buffer {
  return file.subarray(8 + Number(file.readBigUInt64LE(0)));
}

/** Fails unless two runs of the same ranks have the same state and metrics at a step, to the bit. */
export function assertSameState(a: string, b: string, step: number): void {
  const [left, right] = [stateOf(a, step), stateOf(b, step)];
  assert.deepEqual([...left.keys()], [...right.keys()]);
  for (const [name, bytes] of left) assert.ok(bytes.equals(right.get(name)!), `other ${name}`);
  assert.deepEqual(rowsOf(a).map(withoutClock), rowsOf(b).map(withoutClock));
}

/**
 * The largest difference of the losses of two runs, relative to their size: that of their terms, about 1, where
 * they cancel.
 */
export function lossDistance(a: string, b: string): number {
  const [left, right] = [rowsOf(a), rowsOf(b)];
  assert.equal(left.length, right.length);
  return Math.max(
    ...left.flatMap((row, i) =>
      Object.keys(row)
        .filter((name) => name.endsWith("/loss"))
        .map((name) => {
          const size = name === "grpo/loss" ? 1 : Math.abs(row[name]!);
          return Math.abs(row[name]! - right[i]![name]!) / size;
        }),
    ),
  );
}
