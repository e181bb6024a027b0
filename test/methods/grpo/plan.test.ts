import assert from "node:assert/strict";
import { test } from "uvu";
import { groupDraws } from "../../../ts/methods/grpo/draws.js";
import { checkGrpo, type GrpoOptions } from "../../../ts/methods/grpo/grpo.js";
import { danceGrpo, flowGrpo } from "../../../ts/methods/grpo/presets.js";
import { integerTimestep } from "../../../ts/sampler/timestep.js";

const draws = groupDraws({ seed: 7n, tokens: 4, channels: 4, device: "cpu" });
const asked = () => {
  throw new Error("no order is needed");
};
const noisy = (plan: { steps: readonly { std: number }[] }) =>
  plan.steps.flatMap(({ std }, i) => (std > 0 ? [i] : []));
const upTo = (n: number) => Array.from({ length: n }, (_, i) => i);

test("DanceGRPO: 15 of 16 steps have noise, a random 9 of them are trained, others each picture", () => {
  const planner = checkGrpo(danceGrpo);
  assert.equal(integerTimestep(planner.sigmas[1]!), 978);
  const chosen = upTo(40).map((picture) => {
    const plan = planner.plan(0, () => draws.drawOrder(1, picture, planner.noisy));
    assert.deepEqual(noisy(plan), upTo(15));
    assert.equal(plan.steps[15]!.v, Math.fround(-planner.sigmas[15]!));
    assert.equal(new Set(plan.trained).size, 9);
    return plan.trained;
  });
  // 360 draws of 15 steps: 24 each on average, 4 standard deviations are 17.
  for (let i = 0; i < 15; ++i) {
    const times = chosen.filter((trained) => trained.includes(i)).length;
    assert.ok(times > 10 && times < 38, `step ${i}: ${times} of 40`);
  }
});

test("Flow-GRPO: all 6 steps have noise, the first 5 are trained", () => {
  const planner = checkGrpo(flowGrpo, 1024);
  const plan = planner.plan(0, asked);
  assert.deepEqual(noisy(plan), upTo(6));
  assert.deepEqual(plan.trained, upTo(5));
});

test("Flow-GRPO-Fast: three noisy steps in a row, from one of the first half, all trained", () => {
  const planner = checkGrpo({ ...flowGrpo, sdeForm: "cps", noiseLevel: 0.8, sdeWindow: 3 });
  assert.equal(planner.windowStarts, 3);
  const starts = upTo(30).map((sample) => {
    const start = draws.drawWindow(1, sample, planner.windowStarts);
    const plan = planner.plan(start, asked);
    assert.deepEqual(noisy(plan), [start, start + 1, start + 2]);
    assert.deepEqual(plan.trained, noisy(plan));
    return start;
  });
  assert.deepEqual(
    upTo(6).filter((start) => starts.includes(start)),
    [0, 1, 2],
  );
});

test("options that do not fit are named", () => {
  for (const [options, message] of [
    [{ groupSize: 1 }, /^grpo: groupSize: expected 2 or more, .*, got 1$/],
    [{ passes: 5 }, /^grpo: passes: expected .* divides groupSize 12, got 5$/],
    [{ clipRange: [1, 0.1] }, /^grpo: clipRange: expected .*, got \[1, 0.1\]$/],
    [{ clipRange: [0.1, 0] }, /^grpo: clipRange: /],
    [{ klWeight: -1 }, /^grpo: klWeight: expected 0 or more, got -1$/],
    [{ noiseLevel: 0 }, /^grpo: noiseLevel: expected a number above 0, .*, got 0$/],
    [{ trainedFraction: 0.05 }, /^grpo: trainedFraction: expected .* of 15 noisy steps, got 0.05$/],
    [{ rolloutSteps: 1 }, /^grpo: trainedFraction: expected .* of 0 noisy steps/],
    [{ sdeWindow: 9 }, /^grpo: sdeWindow: expected at most 8 for 16 steps.*, got 9$/],
  ] as [Partial<GrpoOptions>, RegExp][])
    assert.throws(() => checkGrpo({ ...danceGrpo, ...options }), { code: "ERR_CONFIG", message });
});

test("steps' noises are parts of one sequence a picture, which do not overlap", async () => {
  const [first, second] = [0, 1].map((i) => draws.drawStepNoise(3, [5, 6], i));
  const numbers = [...(await first!.read()), ...(await second!.read())];
  assert.equal(new Set(numbers).size, 64);
  const alone = await draws.drawStepNoise(3, [6], 1).read();
  assert.deepEqual(alone, (await second!.read()).slice(16));
});

test.run();
