import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { test } from "uvu";
import { readJson } from "../../../ts/checkpoint/strict_json.js";
import { AutoencoderStage } from "../../../ts/micro/pretrain/autoencoder.js";
import { Loop, modelOf } from "../../../ts/micro/pretrain/loop.js";
import { PicturePool } from "../../../ts/micro/pretrain/pool.js";
import { pretrain } from "../../../ts/micro/pretrain/pretrain.js";
import { pretrainSettings } from "../../../ts/micro/pretrain/settings.js";
import { openAutoencoder } from "../../../ts/models/open.js";
import { native } from "../../../ts/native/binding.js";
import { readMetrics } from "../../../ts/train/metrics.js";
import { silent, small, temporaryFolder } from "./support.js";

const base = pretrainSettings({ seed: 3n, effort: 1 });
const training = await PicturePool.draw("training", 12);
const validation = await PicturePool.draw("validation", 2);

/** Trains in a folder until the signal's step. */
async function train(
  folder: string,
  { steps, stopAt, threads = 0 }: { steps: number; stopAt?: number; threads?: number },
) {
  const controller = new AbortController();
  native.cpuSetThreads(threads);
  const stage = new AutoencoderStage(small(base, { steps }), training, validation);
  const loss = stage.loss.bind(stage);
  stage.loss = (step) => {
    if (step === stopAt) controller.abort();
    return loss(step);
  };
  const loop = await Loop.create(stage, { folder, signal: controller.signal, out: silent });
  try {
    return await loop.run();
  } finally {
    loop.dispose();
    stage.dispose();
    native.cpuSetThreads(0);
  }
}

const weights = (folder: string) =>
  readFileSync(path.join(modelOf(folder), "vae", "diffusion_pytorch_model.safetensors"));

test("the loss falls, and the model opens as any vae, with its own scaling and shift", async () => {
  using folder = temporaryFolder();
  const { interrupted, figures } = await train(folder.path, { steps: 20 });
  assert.ok(!interrupted);
  assert.ok(figures["psnr"]! > 5);
  const rows = readMetrics(path.join(folder.path, "metrics.jsonl")).filter((row) => "loss" in row);
  assert.ok(rows.at(-1)!["loss"]! < 0.7 * rows[0]!["loss"]!, JSON.stringify(rows));
  const config = readJson(path.join(modelOf(folder.path), "vae", "config.json")) as {
    scaling_factor: number;
    shift_factor: number;
  };
  assert.ok(config.scaling_factor > 0 && config.scaling_factor !== 0.3611);
  const model = await openAutoencoder(path.join(modelOf(folder.path), "vae"));
  assert.equal(model.config.shiftFactor, config.shift_factor);
  model.dispose();
  assert.ok(existsSync(path.join(folder.path, "samples", "step-000020-reconstructions.png")));
});

test("stopped and resumed, on one thread or two, it ends with the same bits", async () => {
  using whole = temporaryFolder();
  using parted = temporaryFolder();
  await train(whole.path, { steps: 7 });
  const first = await train(parted.path, { steps: 7, stopAt: 3, threads: 1 });
  assert.ok(first.interrupted);
  assert.ok(!existsSync(modelOf(parted.path)));
  assert.ok(!(await train(parted.path, { steps: 7 })).interrupted);
  assert.ok(weights(whole.path).equals(weights(parted.path)));
});

test("a stage out of order, one begun already and another seed are refused by name", async () => {
  using folder = temporaryFolder();
  const signal = new AbortController().signal;
  const run = { place: folder.path, resume: false, signal, out: silent };
  await assert.rejects(pretrain({ ...run, stages: ["reward"] }), {
    code: "ERR_CONFIG",
    message: /^stage: reward: expected autoencoder trained before it/,
  });
  const stopped = AbortSignal.abort();
  const end = await pretrain({ ...run, stages: ["autoencoder"], signal: stopped, effort: 0.01 });
  assert.ok(end.interrupted);
  await assert.rejects(pretrain({ ...run, stages: ["autoencoder"], resume: true, seed: "9" }), {
    code: "ERR_CONFIG",
    message: /^seed: expected 0, as .* was begun with, got 9$/,
  });
});

test.run();
