// The trainer and what it asks of a method: passes, collected pools, and each method by its name.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { test } from "uvu";
import type { Batch, Method, Term } from "../../ts/methods/method.js";
import { initMicro } from "../../ts/micro/init.js";
import { mean } from "../../ts/ops/index.js";
import { randn } from "../support/index.js";
import type { Tensor } from "../../ts/tensor/tensor.js";
import { trainConfig, type TrainConfig } from "../../ts/train/config.js";
import { Trainer } from "../../ts/train/trainer.js";
import { Updater } from "../../ts/train/updater.js";

const root = mkdtempSync(path.join(os.tmpdir(), "srpo-methods-"));
test.after(() => {
  rmSync(root, { recursive: true, force: true });
});
const model = path.join(root, "micro");
await initMicro(model, {
  seed: 1n,
  dtype: "float32",
  texts: ["a red fox in snow", "two owls", "a glass boat", "old town at night"],
});
const config = (values: Record<string, unknown> = {}): TrainConfig =>
  trainConfig([
    {
      name: "test",
      values: {
        preset: "micro",
        model,
        out: path.join(root, "run"),
        height: 16,
        width: 16,
        batch: 3,
        microBatch: 2,
        rolloutSteps: 2,
        ...values,
      },
    },
  ]);

test("collect sees every batch before the first term; each pass is a step from gradients of its own", async () => {
  const trainer = await Trainer.create(config());
  const { setup } = trainer;
  const told: string[] = [];
  const pools = new Map<number, Tensor>();
  const method: Method = {
    name: "three passes",
    passes: 3,
    async collect({ samples }: Batch) {
      told.push(`collect ${samples.join(" ")}`);
      for (const s of samples) pools.set(s, randn([1, setup.tokens, setup.channels], { seed: s }));
      await Promise.resolve();
    },
    async *terms({ pass, samples, features }: Batch): AsyncGenerator<Term> {
      told.push(`pass ${pass}: ${samples.join(" ")}`);
      await Promise.resolve();
      const first = pools.get(samples[0]!)!;
      assert.ok(!first.disposed);
      const [txt, pooled] = [features.txt, features.pooled];
      if (samples.length > 1) return;
      const loss = mean(setup.policy.velocity(first, [0.5], { txt, pooled }, 1));
      yield { name: "all", loss, metrics: { pass } };
    },
  };
  const { optimizer, sharding, ranks } = trainer;
  const parts = { optimizer, sharding, ranks, ema: undefined };
  const updater = new Updater(trainer.config, setup, method, parts);
  const values = await updater.run(1);
  assert.deepEqual(told, [
    "collect 0 1",
    "collect 2",
    ...[0, 1, 2].flatMap((pass) => [`pass ${pass}: 0 1`, `pass ${pass}: 2`]),
  ]);
  assert.equal(trainer.optimizer.steps, 3);
  assert.equal(values["all/pass"], 2);
  assert.ok(values["gradNorm"]! > 0);
  assert.ok(
    [...pools.values()].every((t) => t.disposed),
    "the pools end with the update",
  );
  trainer.dispose();
});

for (const [method, terms] of [
  ["srpo", ["denoise", "inversion"]],
  ["direct-align", ["denoise"]],
  ["refl", ["estimate"]],
  ["draft", ["end"]],
  ["draft-lv", ["end", "renoised"]],
  ["dance-grpo", ["grpo"]],
  ["flow-grpo", ["grpo"]],
] as const)
  test(`--method ${method} trains`, async () => {
    const options = {
      stopSteps: 2,
      lastSteps: 2,
      recomputeSteps: true,
      groupSize: 2,
      trainedFraction: 1,
    };
    const trainer = await Trainer.create(config({ method, ...options }));
    const values = await trainer.update(1);
    assert.equal(trainer.method.name, method);
    const logged = Object.keys(values).filter((name) => name.endsWith("/loss"));
    assert.deepEqual(
      logged,
      terms.map((term) => `${term}/loss`),
    );
    for (const name of logged) assert.ok(Number.isFinite(values[name]));
    assert.ok(values["gradNorm"]! > 0);
    trainer.dispose();
  });

for (const method of ["refl", "draft", "draft-lv"])
  test(`${method} climbs the reward of what it draws`, async () => {
    const options = { stopSteps: 1, lastSteps: 2, lr: 1e-3, maxGradNorm: 1 };
    const trainer = await Trainer.create(config({ method, ...options }));
    const name = method === "refl" ? "estimate/reward" : "end/reward";
    const rewards: number[] = [];
    // The same prompts and draws again, so that rewards can be compared.
    for (let i = 0; i < 8; ++i) rewards.push((await trainer.update(1))[name]!);
    assert.ok(rewards.at(-1)! > rewards[0]! + 0.1, rewards.join(" "));
    trainer.dispose();
  });

test("options that do not fit a method are refused before anything is loaded", async () => {
  const nowhere = path.join(root, "nowhere");
  for (const [options, message] of [
    [{ method: "refl", stopSteps: 3 }, /^refl: stopSteps: expected .* rolloutSteps, 2, got 3$/],
    [{ method: "draft", lastSteps: 3 }, /^draft: lastSteps: expected .* rolloutSteps, 2, got 3$/],
    [{ window: [25, 5] }, /^window: range: expected two whole numbers/],
    [
      { method: "draft-lv", images: nowhere },
      /^images: expected none with method draft-lv.*; srpo, direct-align, refl take real ones$/,
    ],
  ] as const)
    await assert.rejects(Trainer.create(config({ ...options, model: nowhere })), {
      code: "ERR_CONFIG",
      message,
    });
});

test.run();
