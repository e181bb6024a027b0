import assert from "node:assert/strict";
import { combine } from "../../ts/ops/index.js";
import { shiftedSigmas } from "../../ts/sampler/schedule.js";
import {
  eulerStep,
  sdeForms,
  sdeLogDensity,
  sdeMean,
  sdeMove,
  sdeStep,
} from "../../ts/sampler/sde.js";
import { assertRelative, checkGradients, forEachDevice, randn } from "../support/index.js";

const near = (actual: number, expected: number, tolerance = 5e-7) =>
  assert.ok(Math.abs(actual - expected) <= tolerance, `${actual} is not ${expected}`);

forEachDevice("sde", (test, device) => {
  // methods.md 17: x = 1, v = 0.5, from 0.8 to 0.7.
  for (const [form, level, mean, std] of [
    ["dance", 0.3, 0.9438125, 0.0948683],
    ["flow", 0.7, 0.81525, 0.4427189],
    ["cps", 0.8, 0.417943, 0.6657396],
  ] as const)
    test(`${form}: the worked scalars`, () => {
      const step = sdeStep([1, 0.8, 0.7], 1, { form, level });
      near(step.x + step.v * 0.5, mean);
      near(step.std, std);
      near(step.diffusion, std / Math.sqrt(0.1), 2e-6);
      if (form === "flow") near(step.diffusion, 1.4);
    });

  test("dance at the level that flow comes to is flow", () => {
    const sigmas = shiftedSigmas(6, 3);
    for (let i = 1; i < 6; ++i) {
      const flow = sdeStep(sigmas, i, { form: "flow", level: 0.9 });
      assert.deepEqual(sdeStep(sigmas, i, { form: "dance", level: flow.diffusion }), flow);
    }
  });

  test("from pure noise, flow takes the second noise level where it would divide by 0", () => {
    const { diffusion, x, v } = sdeStep([1, 0.75, 0.5], 0, { form: "flow", level: 0.5 });
    near(diffusion, 0.5 * Math.sqrt(1 / 0.25));
    // 1 - s is 0 there: the velocity has Euler's coefficient.
    assert.equal(v, -0.25);
    near(x, 1 - diffusion ** 2 / 8);
  });

  const sigmas = shiftedSigmas(7, 3);
  const [x, v] = [randn([2, 3, 8], { device, seed: 1 }), randn([2, 3, 8], { device, seed: 2 })];
  const asked = () => {
    throw new Error("a step without noise asks for none");
  };

  for (const form of sdeForms)
    test(`${form}: level 0 is the Euler step, to the bit`, async () => {
      for (let i = 0; i < 7; ++i) {
        const step = sdeStep(sigmas, i, { form, level: 0 });
        const moved = sdeMove(sdeMean(x, v, [step, step]), asked, [step, step]);
        const euler = combine(x, v, { x: 1, y: Math.fround(sigmas[i + 1]! - sigmas[i]!) });
        assert.deepEqual(await moved.read(), await euler.read());
      }
    });

  test("cps has no noise at the last step, where nothing of it may be left", () => {
    const step = sdeStep(sigmas, 6, { form: "cps", level: 0.8 });
    assert.deepEqual(step, eulerStep(sigmas, 6));
  });

  for (const form of sdeForms)
    test(`${form}: mean, step and log density are their definitions, a step a sample`, async () => {
      const steps = [2, 4].map((i) => sdeStep(sigmas, i, { form, level: 0.6 }));
      const noise = randn([2, 3, 8], { device, seed: 3 });
      const mean = sdeMean(x, v, steps);
      const next = sdeMove(mean, () => noise, steps);
      const [xs, vs, ns] = [await x.read(), await v.read(), await noise.read()];
      const means = Array.from(xs, (value, e) => {
        const step = steps[Math.floor(e / 24)]!;
        return step.x * value + step.v * vs[e]!;
      });
      await assertRelative(mean, means, 1e-6);
      const ends = means.map((m, e) => m + steps[Math.floor(e / 24)]!.std * ns[e]!);
      await assertRelative(next, ends, 1e-6);
      const densities = await sdeLogDensity(next, mean, steps).read();
      for (const [b, { std, densityStd }] of steps.entries()) {
        const squares = ns.slice(24 * b, 24 * b + 24).reduce((sum, n) => sum + (std * n) ** 2, 0);
        const constant = Math.log(densityStd) + Math.log(2 * Math.PI) / 2;
        near(densities[b]!, -squares / 24 / (2 * densityStd ** 2) - constant, 2e-6);
      }
    });

  test("the gradient of the log density at the velocity is right", async () => {
    const steps = [1, 3].map((i) => sdeStep(sigmas, i, { form: "dance", level: 0.3 }));
    const next = sdeMove(sdeMean(x, v, steps), () => randn([2, 3, 8], { device, seed: 4 }), steps);
    await checkGradients(
      (velocity) => sdeLogDensity(next, sdeMean(x, velocity, steps), steps),
      [v],
    );
  });

  test("a level out of its range is named", () => {
    for (const [form, level] of [
      ["dance", -1],
      ["flow", NaN],
      ["cps", 1.5],
    ] as const)
      assert.throws(() => sdeStep(sigmas, 1, { form, level }), {
        code: "ERR_CONFIG",
        message: /^sde: level: expected 0 .*, got /,
      });
  });
});
