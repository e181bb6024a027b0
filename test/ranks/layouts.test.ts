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
  // Every rank has the rows of all, in the order of one.
  ["factors", 1e-6, "--modulation-gradients", "factors", "--ema", "0.9"],
  // Gradients are rounded once more, by a rank.
  ["bf16", 1e-2, "--precision", "bf16", "--moments", "8bit", "--rounding", "stochastic", "--grad-dtype", "bfloat16"],
] as const)
  test(`${name}: 2 ranks equal one over 4 updates, and go on from one's checkpoint`, async () => {
    for (const ranks of [1, 2])
      await succeedOn(ranks, rankTraining(`${name}-${ranks}`, "--steps", "4", ...flags));
    const distance = lossDistance(`${name}-1`, `${name}-2`);
    assert.ok(distance <= most, `${distance}`);
    await succeedOn(2, ["train", "--resume", at(`${name}-1`), "--steps", "5"]);
    assert.equal(rowsOf(`${name}-1`).length, 5);
  }); // prettier-ignore

test("factors: ranks of unequal prompts, one of none; the smallest layout with them", async () => {
  const factors = ["--modulation-gradients", "factors", "--batch", "3", "--steps", "3"];
  for (const ranks of [1, 4]) await succeedOn(ranks, rankTraining(`uneven-${ranks}`, ...factors));
  assert.ok(lossDistance("uneven-1", "uneven-4") <= 1e-6);
  const few = "--precision bf16 --moments 8bit --rounding stochastic --grad-dtype bfloat16".split(
    " ",
  );
  for (const ranks of [1, 2])
    await succeedOn(ranks, rankTraining(`few-${ranks}`, ...factors, ...few));
  assert.ok(lossDistance("few-1", "few-2") <= 1e-2);
});

tests.run();
