import assert from "node:assert/strict";
import { groupDraws } from "../../../ts/methods/grpo/draws.js";
import { rowsOf, stochasticRollout } from "../../../ts/methods/grpo/rollout.js";
import { affine, combine } from "../../../ts/ops/index.js";
import { denoise } from "../../../ts/sampler/denoise.js";
import { shiftedSigmas } from "../../../ts/sampler/schedule.js";
import {
  eulerStep,
  sdeLogDensity,
  sdeMean,
  sdeStep,
  type SdeStep,
} from "../../../ts/sampler/sde.js";
import type { Tensor } from "../../../ts/tensor/tensor.js";
import { forEachDevice, randn } from "../../support/index.js";

forEachDevice("stochasticRollout", (test, device) => {
  const start = randn([2, 3, 8], { device, seed: 1 });
  const sigmas = shiftedSigmas(5, 3);
  const drift = randn([2, 3, 8], { device, seed: 2 });
  const velocity = (x: Tensor, sigma: number) => combine(x, drift, { x: 0.5 - sigma, y: 0.3 });
  const draws = groupDraws({ seed: 3n, tokens: 3, channels: 8, device });
  const noise = (i: number) => draws.drawStepNoise(1, [0, 1], i);
  const stepsOf = (form: "dance" | "flow", level: number) =>
    Array.from({ length: 5 }, (_, i) => sdeStep(sigmas, i, { form, level }));

  test("without noise it is the Euler rollout, to the bit", async () => {
    const plan = { steps: stepsOf("flow", 0), trained: [] };
    const { end, states, logDensities } = await stochasticRollout(
      velocity,
      start,
      [plan, plan],
      noise,
    );
    assert.deepEqual(await end.read(), await (await denoise(velocity, start, sigmas)).read());
    assert.ok([...states, ...logDensities].every((kept) => kept === undefined));
  });

  test("it keeps what its trained steps need, and their densities are those that come out again", async () => {
    const steps = stepsOf("flow", 0.8);
    const plans = [
      { steps, trained: [1, 0] },
      { steps, trained: [3, 1] },
    ];
    const { states, logDensities } = await stochasticRollout(velocity, start, plans, noise);
    assert.deepEqual(
      states.map((state) => state !== undefined),
      [true, true, true, true, true, false],
    );
    for (const slot of [0, 1]) {
      const at = plans.map(({ trained }) => trained[slot]!);
      const [x, next] = [0, 1].map((more) =>
        rowsOf(
          states,
          at.map((i) => i + more),
        ),
      );
      // Each row at a noise level of its own: its velocity is that of the rollout's call.
      const v = rowsOf(
        states.map((state, i) => state && velocity(state, sigmas[i]!)),
        at,
      );
      const chosen = at.map((i) => steps[i]!);
      const again = await sdeLogDensity(next!, sdeMean(x!, v, chosen), chosen).read();
      assert.deepEqual(
        Array.from(again),
        at.map((i, b) => logDensities[i]![b]!),
      );
    }
  });

  test("a picture's noisy steps may be others than its neighbour's", async () => {
    const noisy = stepsOf("flow", 0.8);
    const euler = noisy.map((_, i) => eulerStep(sigmas, i));
    const plans = [
      { steps: noisy, trained: [0] },
      { steps: euler, trained: [] },
    ];
    const { end } = await stochasticRollout(velocity, start, plans, noise);
    const plain = await (await denoise(velocity, start, sigmas)).read();
    const [first, second] = [(await end.read()).slice(0, 24), (await end.read()).slice(24)];
    assert.deepEqual(second, plain.slice(24));
    assert.notDeepEqual(first, plain.slice(0, 24));
  });

  test("DanceGRPO's last step ends at its clean estimate", async () => {
    const steps = [...stepsOf("dance", 0.3).slice(0, 4), eulerStep(sigmas, 4)];
    const plan = { steps, trained: [3] };
    const { end, states } = await stochasticRollout(velocity, start, [plan, plan], noise);
    const x = states[4]!;
    const clean = combine(x, velocity(x, sigmas[4]!), { x: 1, y: -sigmas[4]! });
    assert.deepEqual(await end.read(), await clean.read());
  });

  // Pictures whose elements are Gaussian, N(m, c^2), have the velocity
  //   v = a x - (a (1 - s) + 1) m,  a = (s - (1 - s) c^2) / ((1 - s)^2 c^2 + s^2)
  // and at noise level s the variance (1 - s)^2 c^2 + s^2.
  const [m, c] = [0.7, 0.5];
  const slope = (s: number) => (s - (1 - s) * c ** 2) / ((1 - s) ** 2 * c ** 2 + s ** 2);
  const field = (x: Tensor, s: number) => affine(x, slope(s), -(slope(s) * (1 - s) + 1) * m);
  const chain = (form: "dance" | "flow", level: number, n: number) => {
    const levels = shiftedSigmas(n, 3);
    return Array.from({ length: n }, (_, i): SdeStep => sdeStep(levels, i, { form, level }));
  };
  /** Mean and variance that the chain of Gaussian steps ends with, in closed form. */
  const exact = (steps: readonly SdeStep[]) =>
    steps.reduce(
      ({ mean, variance }, { from: s, x, v, std }) => {
        const a = slope(s);
        return {
          mean: (x + v * a) * mean - v * (a * (1 - s) + 1) * m,
          variance: (x + v * a) ** 2 * variance + std ** 2,
        };
      },
      { mean: 0, variance: 1 },
    );

  for (const [form, level] of [
    ["dance", 0.3],
    ["dance", 1],
    ["flow", 0.7],
  ] as const)
    test(`${form} ${level}: the noise keeps the flow's marginals`, async () => {
      // The chain's own error is of first order in the step: a tenth for ten times the steps.
      const errors = [50, 500].map((n) => exact(chain(form, level, n)).variance - c ** 2);
      assert.ok(Math.abs(errors[1]!) < 0.02 * c ** 2, `${errors[1]}`);
      assert.ok(Math.abs(errors[1]! / errors[0]!) < 0.15, errors.join(", "));

      const steps = chain(form, level, 50);
      const { mean, variance } = exact(steps);
      const [B, L, C] = [2, 4096, 16];
      const many = groupDraws({ seed: 11n, tokens: L, channels: C, device });
      const plan = { steps, trained: [] };
      const { end } = await stochasticRollout(field, many.drawStart(1, [0, 1]), [plan, plan], (i) =>
        many.drawStepNoise(1, [0, 1], i),
      );
      const n = B * L * C;
      const values = await end.read();
      const found = values.reduce((sum, x) => sum + x, 0) / n;
      const spread = values.reduce((sum, x) => sum + (x - found) ** 2, 0) / n;
      // Four standard deviations of the estimates: sqrt(variance / n), variance sqrt(2 / n).
      assert.ok(Math.abs(found - mean) < 4 * Math.sqrt(variance / n), `${found} for ${mean}`);
      const tolerance = 4 * variance * Math.sqrt(2 / n);
      assert.ok(Math.abs(spread - variance) < tolerance, `${spread} for ${variance}`);
    });
});
