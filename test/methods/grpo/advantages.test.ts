import assert from "node:assert/strict";
import { test } from "uvu";
import { groupAdvantages, type AdvantageOptions } from "../../../ts/methods/grpo/advantages.js";
import { danceGrpo, flowGrpo } from "../../../ts/methods/grpo/presets.js";

const dance = danceGrpo.advantages;
const flow = flowGrpo.advantages;
const rewards = [
  [0.27, 0.31, 0.25, 0.29],
  [0.1, 0.5, 0.2, 0.4],
  [0.7, 0.71, 0.69, 0.7],
];
const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);
const near = (actual: number, expected: number) =>
  assert.ok(Math.abs(actual - expected) < 1e-9, `${actual} is not ${expected}`);

for (const [name, options] of Object.entries({ dance, flow }))
  test(`${name}: a group's advantages sum to 0, in the order of its rewards`, () => {
    for (const [g, advantages] of groupAdvantages(rewards, options).entries()) {
      near(sum(advantages), 0);
      const order = (values: readonly number[]) =>
        Array.from(values.keys()).sort((a, b) => values[a]! - values[b]!);
      assert.deepEqual(order(advantages), order(rewards[g]!));
    }
  });

test("DanceGRPO divides by each group's sample deviation", () => {
  const [first] = groupAdvantages(rewards, dance);
  // mean 0.28, squares 0.002 over 3
  near(first![1]!, 0.03 / (Math.sqrt(0.002 / 3) + 1e-8));
});

test("Flow-GRPO divides by the deviation of all rewards, or of the group", () => {
  const all = rewards.flat();
  const mean = sum(all) / all.length;
  const std = Math.sqrt(sum(all.map((r) => (r - mean) ** 2)) / all.length);
  near(groupAdvantages(rewards, flow)[1]![1]!, 0.2 / (std + 1e-4));
  const own = groupAdvantages(rewards, { ...flow, spread: "group" });
  near(own[1]![1]!, 0.2 / (Math.sqrt(0.1 / 4) + 1e-4));
});

test("equal rewards have no advantage; a far one is bounded", () => {
  assert.deepEqual(groupAdvantages([[0.3, 0.3, 0.3]], dance), [[0, 0, 0]]);
  const options: AdvantageOptions = { ...dance, limit: 1 };
  const [far] = groupAdvantages([[0, 0, 0, 0, 1]], options);
  assert.equal(far![4], 1);
  assert.ok(far![0]! > -1);
});

test("a group of one is refused", () => {
  assert.throws(() => groupAdvantages([[1, 2], [3]], dance), {
    code: "ERR_CONFIG",
    message: "groupAdvantages: rewards: expected groups of 2 or more, got one of 1",
  });
});

test.run();
