// Every kind of reward behind the methods that can use it; what they cannot use is refused by name.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { suite } from "uvu";
import { initMicro } from "../../ts/micro/init.js";
import { trainConfig, type TrainConfig } from "../../ts/train/config.js";
import { memoryOf } from "../../ts/tensor/device.js";
import { loadSetup } from "../../ts/train/setup.js";
import { Trainer } from "../../ts/train/trainer.js";
import { writeRewards } from "../rewards/tiny_rewards.js";

const test = suite("rewards in training");
const root = mkdtempSync(path.join(os.tmpdir(), "srpo-train-rewards-"));
process.once("exit", () => rmSync(root, { recursive: true, force: true }));
const model = path.join(root, "micro");
test.before(async () => {
  await writeRewards(root);
  const texts = ["a red fox in snow", "two owls", "a glass boat", "old town at night"];
  await initMicro(model, { seed: 1n, dtype: "float32", texts });
});

const config = (method: string, reward: string, more: Record<string, unknown> = {}): TrainConfig =>
  trainConfig([
    {
      name: "test",
      values: {
        preset: "micro",
        model,
        method,
        reward: path.join(root, reward),
        out: path.join(root, "run"),
        precision: "f32",
        height: 16,
        width: 16,
        batch: 2,
        microBatch: 2,
        rolloutSteps: 2,
        stopSteps: 2,
        lastSteps: 2,
        groupSize: 2,
        trainedFraction: 1,
        ...more,
      },
    },
  ]);

for (const reward of ["aesthetic", "imagereward"])
  for (const method of ["direct-align", "refl", "draft", "draft-lv", "dance-grpo"])
    test(`--method ${method} with ${reward}`, async () => {
      const trainer = await Trainer.create(config(method, reward));
      const values = await trainer.update(1);
      const scores = Object.entries(values).filter(([name]) => name.endsWith("/reward"));
      assert.ok(scores.length > 0 && scores.every(([, value]) => Number.isFinite(value)));
      assert.ok(values["gradNorm"]! > 0);
      trainer.dispose();
    });

for (const reward of ["aesthetic", "imagereward"])
  test(`draft climbs ${reward}`, async () => {
    const options = { lr: 1e-3, maxGradNorm: 1, ema: 0 };
    const trainer = await Trainer.create(config("draft", reward, options));
    const rewards: number[] = [];
    for (let i = 0; i < 8; ++i) rewards.push((await trainer.update(1))["end/reward"]!);
    assert.ok(rewards.at(-1)! > rewards[0]!, rewards.join(" "));
    trainer.dispose();
  });

for (const [reward, why] of [
  ["aesthetic", "the aesthetic predictor, which reads no text"],
  ["imagereward", "ImageReward, which reads picture and text as one"],
] as const)
  test(`SRPO with ${reward} is refused before anything is loaded`, async () => {
    await assert.rejects(loadSetup(config("srpo", reward)), {
      code: "ERR_CONFIG",
      message:
        "reward: expected one that compares texts with method srpo (HPSv2.1, PickScore, CLIP), got " +
        `${why}; direct-align, refl, draft, draft-lv, dance-grpo, flow-grpo take it`,
    });
  });

test("SRPO judged by another kind of reward than its own", async () => {
  const options = { evalReward: path.join(root, "imagereward"), evalCount: 2, evalEvery: 1 };
  const setup = await loadSetup(config("srpo", "hps", options));
  assert.ok(setup.evaluator !== undefined);
  const { model: flux, policy } = setup;
  const { signal } = new AbortController();
  const first = await setup.evaluator.evaluate({ model: flux, policy, signal });
  assert.ok(Number.isFinite(first.score));
  assert.deepEqual(await setup.evaluator.evaluate({ model: flux, policy, signal }), first);
  setup.dispose();
});

test("of several ranks the first loads what evaluates, and no other", async () => {
  const options = { evalReward: path.join(root, "imagereward"), evalCount: 2, evalEvery: 1 };
  const held: number[] = [];
  for (const rank of [0, 1]) {
    const before = memoryOf("cpu").inUse;
    const setup = await loadSetup(config("srpo", "hps", options), { rank, size: 2 });
    assert.equal(setup.evaluator !== undefined, rank === 0);
    held.push(memoryOf("cpu").inUse - before);
    setup.dispose();
  }
  assert.ok(held[1]! < held[0]!, `${held[0]} and ${held[1]} bytes`);
});

test.run();
