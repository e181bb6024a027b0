// ZeRO-2: the same losses, with fewer bytes held.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { suite } from "uvu";
import { at, microFolder } from "../support/cli.js";
import { hasMpirun } from "../support/mpirun.js";
import {
  assertSameState,
  lossDistance,
  rankTraining,
  startOn,
  succeedOn,
} from "../support/rank_runs.js";

const tests = suite("train --zero 2");
const test = (name: string, body: () => Promise<void>) =>
  hasMpirun ? tests(name, body) : tests.skip(name, body);
if (hasMpirun) tests.before(async () => void (await microFolder()));

test("2 and 4 ranks equal one; a rank of 4 holds less than with ZeRO-1", async () => {
  const args = ["--steps", "4", "--ema", "0.9", "--recompute", "all"];
  await succeedOn(1, rankTraining("alone", ...args));
  const peaks = new Map<string, number>();
  for (const [ranks, zero] of [
    [4, 1],
    [2, 2],
    [4, 2],
  ] as const) {
    const run = `${ranks}-${zero}`;
    await succeedOn(ranks, rankTraining(run, ...args, "--zero", `${zero}`));
    const distance = lossDistance("alone", run);
    assert.ok(distance <= 1e-6, `${run}: ${distance}`);
    const log = readFileSync(at(run, "logs/rank-00001.log"), "utf8");
    peaks.set(run, Number(/at most (\d+) bytes of the device/.exec(log)![1]));
  }
  const [whole, range] = [peaks.get("4-1")!, peaks.get("4-2")!];
  console.log(`peak of a rank of 4: ${whole} bytes with ZeRO-1, ${range} with ZeRO-2`);
  assert.ok(range < whole);
});

for (const [name, most, ...flags] of [
  // The others' sums are rounded once more.
  ["few", 1e-2, "--precision", "bf16", "--moments", "8bit", "--rounding", "stochastic", "--grad-dtype", "bfloat16"],
  ["factors", 1e-6, "--modulation-gradients", "factors"],
  ["lora", 1e-6, "--lora-rank", "2", "--lr", "1e-4"],
] as const)
  test(`${name}: 2 ranks equal one`, async () => {
    for (const ranks of [1, 2])
      await succeedOn(ranks, rankTraining(`${name}-${ranks}`, "--steps", "3", "--zero", "2", ...flags));
    const distance = lossDistance(`${name}-1`, `${name}-2`);
    assert.ok(distance <= most, `${distance}`);
  }); // prettier-ignore

test("a run goes on: on as many ranks to the bit, then on 4, then alone", async () => {
  const flags = ["--zero", "2", "--ema", "0.9"];
  await succeedOn(2, rankTraining("whole", ...flags, "--steps", "4"));
  await succeedOn(2, rankTraining("moved", ...flags, "--steps", "2"));
  const goOn = (steps: number) => ["train", "--resume", at("moved"), "--steps", `${steps}`];
  await succeedOn(2, goOn(4));
  assertSameState("whole", "moved", 4);
  await succeedOn(4, goOn(5));
  await succeedOn(1, goOn(6));
  await succeedOn(1, rankTraining("straight", ...flags, "--steps", "6"));
  assert.ok(lossDistance("straight", "moved") <= 1e-6);
});

test("prompts that the ranks do not divide, up to ranks that have none", async () => {
  const odd = ["--zero", "2", "--batch", "3"];
  for (const ranks of [1, 2])
    await succeedOn(ranks, rankTraining(`odd-${ranks}`, ...odd, "--steps", "3"));
  assert.ok(lossDistance("odd-1", "odd-2") <= 1e-6);
  const { code, stderr } = await startOn(4, rankTraining("none", ...odd, "--steps", "1")).ended;
  assert.notEqual(code, 0);
  assert.match(stderr, /zero: expected 1 where some of 4 ranks have none of a batch of 3, got 2/);
});

tests.run();
