// Weights, moments and gradients of few bits on several ranks: what is rounded at random is named by its place
// among all weights, so that a rank's range is rounded as the whole would be.
import assert from "node:assert/strict";
import { suite } from "uvu";
import { at, microFolder } from "../support/cli.js";
import { hasMpirun } from "../support/mpirun.js";
import { lossDistance, rankTraining, rowsOf, succeedOn } from "../support/rank_runs.js";

const tests = suite("layouts on several ranks");
const test = (name: string, body: () => Promise<void>) =>
  hasMpirun ? tests(name, body) : tests.skip(name, body);
if (hasMpirun) tests.before(async () => void (await microFolder()));

for (const [name, most, ...flags] of [
  // Sums over ranks differ in the last bit of a float, which turns a rounding now and then.
  ["f32", 1e-5, "--precision", "f32", "--moments", "8bit"],
  // Gradients are rounded once more, by a rank.
  ["bf16", 1e-2, "--precision", "bf16", "--moments", "8bit", "--rounding", "stochastic", "--grad-dtype", "bfloat16"],
] as const)
  test(`${name}: 2 ranks equal one over 6 updates, and go on from one's checkpoint`, async () => {
    for (const ranks of [1, 2])
      await succeedOn(ranks, rankTraining(`${name}-${ranks}`, "--steps", "6", ...flags));
    const distance = lossDistance(`${name}-1`, `${name}-2`);
    console.log(name, distance);
    assert.ok(distance <= most, `${distance}`);
    await succeedOn(2, ["train", "--resume", at(`${name}-1`), "--steps", "8"]);
    assert.equal(rowsOf(`${name}-1`).length, 8);
  }); // prettier-ignore

tests.run();
