// What a run says of itself beside its loss: figures from outside, and what it cost.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { test } from "uvu";
import { initMicro } from "../../ts/micro/init.js";
import { trainConfig } from "../../ts/train/config.js";
import { readMetrics } from "../../ts/train/metrics.js";
import { RunFolder } from "../../ts/train/run_folder.js";
import { Trainer, type RunEnd } from "../../ts/train/trainer.js";

const root = mkdtempSync(path.join(os.tmpdir(), "srpo-look-"));
test.after(() => {
  rmSync(root, { recursive: true, force: true });
});
const model = path.join(root, "micro");
await initMicro(model, { seed: 1n, dtype: "float32", texts: ["a red fox", "two owls"] });

/** Runs, or goes on with, a run of five updates that is looked at every second one. */
async function train(
  name: string,
  { stopAfter, checkpoint }: { stopAfter?: number; checkpoint?: string } = {},
): Promise<{ end: RunEnd; looks: number[] }> {
  const sizes = { height: 16, width: 16, batch: 3, microBatch: 2, rolloutSteps: 4 };
  const values = { preset: "micro", model, steps: 5, sampleEvery: 0, ...sizes };
  const config = trainConfig([{ name: "test", values }]);
  const run = new RunFolder(path.join(root, name));
  const trainer = await Trainer.create(config, checkpoint);
  const controller = new AbortController();
  const looks: number[] = [];
  const at = (step: number) => {
    looks.push(step);
    if (step === stopAfter) controller.abort("SIGINT");
    return Promise.resolve({ "judge/realism": step / 10 });
  };
  await run.create(config);
  const end = await trainer.run(run, { signal: controller.signal, look: { every: 2, at } });
  trainer.dispose();
  return { end, looks };
}

const rowsOf = (name: string) =>
  readMetrics(path.join(root, name, "metrics.jsonl")).map((row) => ({ ...row, seconds: 0 }));

test("looks stand in the metrics before the first update, at every second, and after the last", async () => {
  const { looks } = await train("whole");
  assert.deepEqual(looks, [0, 2, 4, 5]);
  const rows = rowsOf("whole") as Record<string, number>[];
  assert.deepEqual(
    rows.map((row) => row["judge/realism"]),
    [0, undefined, 0.2, undefined, 0.4, 0.5],
  );
  // 3 prompts: a rollout of 4 steps, and two branches of one differentiated call.
  for (const row of rows.slice(1))
    assert.deepEqual([row["forwards"], row["backwards"]], [3 * (4 + 2), 3 * 2]);
});

test("a run that was stopped and goes on has the same rows", async () => {
  const { end, looks } = await train("stopped", { stopAfter: 2 });
  assert.ok(end.interrupted);
  assert.deepEqual(looks, [0, 2]);
  const again = await train("stopped", { checkpoint: end.checkpoint! });
  assert.deepEqual(again.looks, [4, 5]);
  assert.deepEqual(rowsOf("stopped"), rowsOf("whole"));
});

test("a run that was stopped before its first update looks at its start once", async () => {
  const { end } = await train("early", { stopAfter: 0 });
  assert.equal(end.checkpoint, undefined);
  assert.deepEqual((await train("early")).looks, [2, 4, 5]);
  assert.deepEqual(rowsOf("early"), rowsOf("whole"));
});

test.run();
