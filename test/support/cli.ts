// The built command line as a child process, on a micro folder that is made once a test file.
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { packageRoot } from "../../ts/native/load.js";
import { readMetrics } from "../../ts/train/metrics.js";
import { startProgram, type Ended, type Running } from "./running.js";

export type { Ended, Running };

export const bin = path.join(packageRoot, "bin", "srpo-native.js");

/** A folder of this test file's own; removed when the process ends. */
export const temporary = mkdtempSync(path.join(os.tmpdir(), "srpo-cli-"));
process.once("exit", () => {
  rmSync(temporary, { recursive: true, force: true });
});

/** A path in it. */
export const at = (...names: string[]): string => path.join(temporary, ...names);

export function start(args: readonly string[], { cwd = temporary, env = {} } = {}): Running {
  return startProgram(process.execPath, [bin, ...args], { cwd, env });
}

/** Runs a command line to its end. */
export function run(...args: string[]): Promise<Ended> {
  return start(args).ended;
}

/** Runs a command line that must succeed. */
export async function succeed(...args: string[]): Promise<Ended> {
  const ended = await run(...args);
  assert.equal(ended.code, 0, `${args.join(" ")}: ${ended.stderr}`);
  return ended;
}

/** Runs a command line that must fail with this code, and these words in one clear line; no stack. */
export async function fails(
  code: number,
  words: RegExp,
  args: readonly string[],
  options: { cwd?: string } = {},
): Promise<string> {
  const ended = await start(args, options).ended;
  assert.equal(ended.code, code, `${args.join(" ")}: ${ended.stdout}${ended.stderr}`);
  const [first = "", ...rest] = ended.stderr
    .split("\n")
    .filter((line) => line !== "" && !/^See "srpo-native|^run folder: |^\d+\/\d+ /.test(line));
  assert.match(first, /^srpo-native: /);
  assert.match(ended.stderr, words);
  assert.equal(ended.stdout, "");
  assert.ok(!/^ {4}at /m.test(ended.stderr), `a stack: ${ended.stderr}`);
  return [first, ...rest].join("\n");
}

/** The micro folder of this test file. */
export async function microFolder(): Promise<string> {
  await succeed("init", "micro", at("micro"));
  return at("micro");
}

/** A run of few and small steps. */
export const small: readonly string[] = (
  "--preset micro --height 32 --width 32 --batch 2 --micro-batch 2 --rollout-steps 2 " +
  "--sample-count 2 --sample-steps 2"
).split(" ");

/** `train` on the micro folder, small but for the flags given, into a folder of this name. */
export function training(out: string, ...more: string[]): string[] {
  const kept = small.filter((_, i) => !more.includes(small[i - (i % 2)]!));
  return ["train", ...kept, "--model", at("micro"), "--out", at(out), ...more];
}

export interface Checkpoint {
  weights: Buffer;
  state: Buffer;
}

/** A safetensors file but for its metadata, which names the run's folder. */
function withoutMetadata(file: Buffer): Buffer {
  const end = 8 + Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.toString("utf8", 8, end)) as Record<string, object>;
  delete header["__metadata__"];
  return Buffer.concat([Buffer.from(JSON.stringify(header)), file.subarray(end)]);
}

/** The bytes that training continues from, of the checkpoint of a step. */
export function checkpoint(folder: string, step: number): Checkpoint {
  const place = at(folder, "checkpoints", `step-${String(step).padStart(6, "0")}`);
  return {
    weights: withoutMetadata(
      readFileSync(path.join(place, "transformer/diffusion_pytorch_model.safetensors")),
    ),
    state: readFileSync(path.join(place, "state/state.safetensors")),
  };
}

/** The names of a run's checkpoints and whatever else lies among them. */
export function checkpointsOf(folder: string): string[] {
  return readdirSync(at(folder, "checkpoints")).toSorted();
}

/** A run's metrics but for what the clock says. */
export function metricsOf(folder: string): object[] {
  return readMetrics(at(folder, "metrics.jsonl")).map((row) => ({ ...row, seconds: 0 }));
}

/** Fails unless two runs have the same weights, state and metrics at a step. */
export function assertSameRun(a: string, b: string, step: number): void {
  const [left, right] = [checkpoint(a, step), checkpoint(b, step)];
  assert.ok(left.weights.equals(right.weights), `other weights at step ${step}`);
  assert.ok(left.state.equals(right.state), `other state at step ${step}`);
  assert.deepEqual(metricsOf(a), metricsOf(b));
}
