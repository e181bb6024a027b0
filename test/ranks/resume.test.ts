// A run that goes on with the same ranks is the run that was not stopped, to the bit; with others, to float32.
import assert from "node:assert/strict";
import { suite } from "uvu";
import { at, microFolder } from "../support/cli.js";
import { hasMpirun } from "../support/mpirun.js";
import {
  assertSameState,
  lossDistance,
  rankTraining,
  rowsOf,
  stateOf,
  succeedOn,
} from "../support/rank_runs.js";

const tests = suite("resume on ranks");
const test = (name: string, body: () => Promise<void>) =>
  hasMpirun ? tests(name, body) : tests.skip(name, body);
if (hasMpirun) tests.before(async () => void (await microFolder()));

const goOn = (run: string, steps: number) => ["train", "--resume", at(run), "--steps", `${steps}`];

for (const options of [
  ["--precision", "bf16", "--ema", "0.9", "--sample-every", "2"],
  ["--precision", "bf16", "--rounding", "stochastic", "--moments", "8bit"],
])
  test(`2 ranks, ${options.join(" ")}: 4 updates are 2 and 2 more, to the bit`, async () => {
    const [whole, halves] = ["whole", "halves"].map((name) => name + options.join("")) as [
      string,
      string,
    ];
    await succeedOn(2, rankTraining(whole, "--steps", "4", ...options));
    await succeedOn(2, rankTraining(halves, "--steps", "2", ...options));
    await succeedOn(2, goOn(halves, 4));
    assertSameState(whole, halves, 4);
  });

for (const [name, options, tolerance] of [
  ["float32, EMA", ["--ema", "0.9"], 1e-6],
  ["a LoRA", ["--lora-rank", "2", "--lr", "1e-4"], 1e-6],
  // A last bit of a master makes one of a bfloat16 weight, 1/256 of it.
  ["bfloat16", ["--precision", "bf16"], 2e-2],
] as const)
  test(`${name}: 2, then 1, then 4 ranks are one that never stopped`, async () => {
    const key = name.replaceAll(/\W/g, "");
    await succeedOn(1, rankTraining(`${key}-straight`, "--steps", "6", ...options));
    const moved = `${key}-moved`;
    await succeedOn(2, rankTraining(moved, "--steps", "2", ...options));
    await succeedOn(1, goOn(moved, 4));
    await succeedOn(4, goOn(moved, 6));
    assert.deepEqual(
      rowsOf(moved).map(({ step }) => step),
      [1, 2, 3, 4, 5, 6],
    );
    const distance = lossDistance(`${key}-straight`, moved);
    console.log(`${name}: losses differ by ${distance.toExponential(1)}`);
    assert.ok(distance <= tolerance, `${distance}`);
  });

test("a checkpoint that is only read and written again on other ranks has the same state", async () => {
  const options = ["--precision", "bf16", "--moments", "8bit", "--lr", "0", "--weight-decay", "0"];
  await succeedOn(2, rankTraining("still", "--steps", "1", ...options));
  const weights = stateOf("still", 1).get("weights")!;
  await succeedOn(4, goOn("still", 2));
  assert.ok(stateOf("still", 2).get("weights")!.equals(weights));
});

tests.run();
