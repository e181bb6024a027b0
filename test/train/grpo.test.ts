// GRPO through the trainer: several optimizer steps an update, a reference beside, exact resume.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { test } from "uvu";
import { initMicro } from "../../ts/micro/init.js";
import { trainConfig, type TrainConfig } from "../../ts/train/config.js";
import { readMetrics } from "../../ts/train/metrics.js";
import { Progress } from "../../ts/train/progress.js";
import { RunFolder } from "../../ts/train/run_folder.js";
import { Trainer } from "../../ts/train/trainer.js";

const root = mkdtempSync(path.join(os.tmpdir(), "srpo-grpo-"));
test.after(() => {
  rmSync(root, { recursive: true, force: true });
});
const model = path.join(root, "micro");
await initMicro(model, {
  seed: 1n,
  dtype: "float32",
  texts: ["a red fox in snow", "two owls", "a glass boat", "old town at night"],
});
const config = (values: Record<string, unknown>): TrainConfig =>
  trainConfig([
    {
      name: "test",
      values: {
        preset: "micro",
        model,
        height: 16,
        width: 16,
        batch: 3,
        microBatch: 2,
        rolloutSteps: 3,
        groupSize: 2,
        // So wide that the second pass has a gradient for every picture.
        clipRange: [0.5, 1],
        steps: 3,
        sampleEvery: 0,
        ...values,
      },
    },
  ]);
const dance = { method: "dance-grpo" };
const flow = { method: "flow-grpo", klWeight: 0.04 };

async function train(name: string, options: TrainConfig, stopAfter?: number, from?: string) {
  const run = new RunFolder(path.join(root, name));
  const trainer = await Trainer.create(options, from);
  const controller = new AbortController();
  const progress = new Progress({ unit: "updates", total: options.steps });
  progress.update = (done: number) => {
    if (done === stopAfter) controller.abort("SIGINT");
  };
  await run.create(options);
  const end = await trainer.run(run, { signal: controller.signal, progress });
  const { steps } = trainer.optimizer;
  trainer.dispose();
  const rows = readMetrics(run.metrics).map((row) => ({ ...row, seconds: 0 }));
  return { checkpoint: end.checkpoint!, steps, rows: rows as Record<string, number>[] };
}
const bytesOf = (checkpoint: string) =>
  readFileSync(path.join(checkpoint, "state/state.safetensors"));

for (const precision of ["f32", "bf16"])
  for (const [name, values] of Object.entries({ dance, flow }))
    test(`${name}, ${precision}: stopped after an update and resumed, it is the run that was not`, async () => {
      const options = config({ ...values, precision });
      const [whole, stopped] = [`${name}-${precision}`, `${name}-${precision}-stopped`];
      const straight = await train(whole, options);
      const first = await train(stopped, options, 1);
      const second = await train(stopped, options, undefined, first.checkpoint);
      assert.equal(first.steps, 2);
      assert.equal(straight.steps, 3 * 2);
      assert.deepEqual(second.rows, straight.rows);
      assert.ok(bytesOf(second.checkpoint).equals(bytesOf(straight.checkpoint)));
      const updates = straight.rows.filter(({ step }) => step! > 0);
      assert.equal(updates.length, 3);
      for (const row of updates) {
        assert.ok(row["gradNorm"]! > 0);
        assert.ok(row["grpo/rewardSpread"]! > 0);
        // Of the second pass: the first has moved the weights.
        assert.ok(row["grpo/ratio"] !== 1 && Math.abs(row["grpo/ratio"]! - 1) < 0.1);
        assert.equal(row["grpo/kl"] === undefined, name === "dance");
        assert.ok(name === "dance" || row["grpo/kl"]! > 0);
      }
    });

test("with one pass an update begins at ratio 1 and, from the start, at distance 0", async () => {
  for (const precision of ["f32", "bf16"]) {
    const trainer = await Trainer.create(config({ ...flow, passes: 1, precision }));
    const first = await trainer.update(1);
    assert.deepEqual([first["grpo/ratio"], first["grpo/kl"]], [1, 0]);
    const second = await trainer.update(2);
    assert.equal(second["grpo/ratio"], 1);
    assert.ok(second["grpo/kl"]! > 0);
    trainer.dispose();
  }
});

test("it climbs the reward of what it draws", async () => {
  const options = { ...dance, passes: 1, groupSize: 4, lr: 2e-4, maxGradNorm: 1, precision: "f32" };
  const trainer = await Trainer.create(config(options));
  const rewards: number[] = [];
  // The same prompts and draws again, so that rewards can be compared.
  for (let i = 0; i < 6; ++i) rewards.push((await trainer.update(1))["grpo/reward"]!);
  assert.ok(rewards.at(-1)! > rewards[0]! + 0.008, rewards.join(" "));
  trainer.dispose();
});

test("a row counts every picture: rollouts, trained steps and the reference's", async () => {
  // 3 prompts of 2 pictures: 3 steps, of which 2 are trained.
  const { rows } = await train("counted", config({ ...flow, steps: 1 }));
  const { forwards, backwards } = rows.at(-1)!;
  assert.deepEqual([forwards, backwards], [3 * 2 * (3 + 2 + 2), 3 * 2 * 2]);
});

test("options that do not fit are refused before anything is loaded", async () => {
  const nowhere = path.join(root, "nowhere");
  assert.throws(() => config({ ...dance, groupSize: 1 }), {
    code: "ERR_CONFIG",
    message: "test: groupSize: expected a whole number from 2 to 1024, got 1",
  });
  for (const [values, message] of [
    [{ passes: 3 }, /^grpo: passes: expected .* divides groupSize 2, got 3$/],
    [{ noiseLevel: 0 }, /^grpo: noiseLevel: expected a number above 0/],
    [{ images: nowhere }, /^images: expected none with method dance-grpo/],
  ] as const)
    await assert.rejects(Trainer.create(config({ ...dance, ...values, model: nowhere })), {
      code: "ERR_CONFIG",
      message,
    });
});

test.run();
