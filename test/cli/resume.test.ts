// A run that was stopped and resumed is the run that was not, bit for bit.
import assert from "node:assert/strict";
import { cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { suite } from "uvu";
import {
  assertSameRun,
  at,
  checkpoint,
  checkpointsOf,
  fails,
  metricsOf,
  microFolder,
  succeed,
  training,
} from "../support/cli.js";

const test = suite("train --resume");
test.before(async () => void (await microFolder()));

for (const precision of ["bf16", "f32"])
  test(`${precision}: 4 updates are 2 and, resumed, 2 more; samples and EMA on`, async () => {
    const options = ["--precision", precision, "--ema", "0.9", "--sample-every", "2"];
    const [whole, halves] = [`whole-${precision}`, `halves-${precision}`];
    await succeed(...training(whole, "--steps", "4", ...options));
    await succeed(...training(halves, "--steps", "2", ...options));
    await succeed("train", "--resume", at(halves), "--steps", "4");
    assertSameRun(whole, halves, 4);
    for (const name of ["step-000000.png", "step-000002.png", "step-000004.png"])
      assert.ok(
        readFileSync(at(whole, "samples", name)).equals(readFileSync(at(halves, "samples", name))),
        name,
      );
    // Only the weights that move: EMA and moments are there and differ from nothing.
    assert.ok(!checkpoint(halves, 2).weights.equals(checkpoint(halves, 4).weights));
    assert.deepEqual(
      metricsOf(halves).map((row) => (row as { step: number }).step),
      [1, 2, 3, 4],
    );
    assert.match(readFileSync(at(halves, "config.yaml"), "utf8"), /^steps: 4$/m);
  });

for (const [method, ...flags] of [
  ["refl", "--stop-steps", "2"],
  ["draft", "--last-steps", "2", "--recompute-steps"],
  ["draft-lv"],
] as const)
  test(`${method}: 2 updates are 1 and, resumed, 1 more`, async () => {
    const options = ["--method", method, ...flags, "--sample-every", "0"];
    const [whole, halves] = [`whole-${method}`, `halves-${method}`];
    await succeed(...training(whole, "--steps", "2", ...options));
    await succeed(...training(halves, "--steps", "1", ...options));
    await succeed("train", "--resume", at(halves), "--steps", "2");
    assertSameRun(whole, halves, 2);
    assert.ok(!checkpoint(halves, 1).weights.equals(checkpoint(halves, 2).weights));
  });

test("from a named checkpoint: later ones stay until the run arrives there again", async () => {
  const options = ["--steps", "4", "--save-every", "1", "--sample-every", "0"];
  await succeed(...training("named", ...options));
  cpSync(at("named"), at("straight"), { recursive: true });
  writeFileSync(at("named/metrics.jsonl"), readFileSync(at("named/metrics.jsonl")) + '{"step":5');
  await succeed("train", "--resume", at("named/checkpoints/step-000002"), "--keep", "2");
  assertSameRun("straight", "named", 4);
  assert.deepEqual(checkpointsOf("named"), ["step-000003", "step-000004"]);
});

test("a run that was killed before its first checkpoint begins again", async () => {
  const options = ["--steps", "1", "--sample-every", "0"];
  await succeed(...training("begun", ...options));
  cpSync(at("begun"), at("once"), { recursive: true });
  rmSync(at("begun/checkpoints"), { recursive: true });
  rmSync(at("begun/samples"), { recursive: true });
  await succeed("train", "--resume", at("begun"));
  assertSameRun("once", "begun", 1);
});

test("what would make it another run is refused, and what is no run", async () => {
  const names = /resume: expected only .*steps.* beside it, got lr, seed/;
  await fails(2, names, ["train", "--resume", at("begun"), "--lr", "1", "--seed", "3"]);
  await fails(2, /without config\.yaml/, ["train", "--resume", at("nowhere")]);
  await fails(1, /expected a checkpoint, got none/, [
    "train",
    "--resume",
    at("begun/checkpoints/step-000009"),
  ]);
  cpSync(at("begun"), at("damaged"), { recursive: true });
  const state = at("damaged/checkpoints/step-000001/state/state.safetensors");
  const bytes = readFileSync(state);
  bytes[bytes.length - 1]! ^= 1;
  writeFileSync(state, bytes);
  await fails(1, /state\/state\.safetensors: expected the SHA-256/, [
    "train",
    "--resume",
    at("damaged/checkpoints/step-000001"),
    "--steps=2",
  ]);
});

test.run();
