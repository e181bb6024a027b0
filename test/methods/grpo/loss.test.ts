import assert from "node:assert/strict";
import { backward } from "../../../ts/autograd/backward.js";
import {
  isClipped,
  policyLoss,
  referenceLoss,
  type ClipRange,
} from "../../../ts/methods/grpo/loss.js";
import { sdeStep } from "../../../ts/sampler/sde.js";
import { shiftedSigmas } from "../../../ts/sampler/schedule.js";
import { tensor } from "../../../ts/tensor/tensor.js";
import { checkGradients, forEachDevice, leaf, randn } from "../../support/index.js";

forEachDevice("GRPO's loss", (test, device) => {
  const clipRange: ClipRange = [0.2, 0.3];
  const at = async (logRatios: readonly number[], advantages: readonly number[], weight = 1) => {
    const x = leaf(tensor(logRatios, undefined, { device }));
    const loss = policyLoss(x, advantages, { clipRange, weight });
    backward(loss);
    return { loss: await loss.item(), gradient: Array.from(await x.grad!.read()) };
  };
  const near = (actual: number, expected: number) =>
    assert.ok(Math.abs(actual - expected) < 2e-6, `${actual} is not ${expected}`);

  test("it is max(-A r, -A clip(r)), its gradient that of the part that is larger", async () => {
    for (const r of [0.5, 0.79, 0.81, 1, 1.29, 1.31, 2])
      for (const a of [-1.5, 0.7]) {
        const { loss, gradient } = await at([Math.log(r)], [a]);
        const clipped = Math.max(0.8, Math.min(1.3, r));
        near(loss, Math.max(-a * r, -a * clipped));
        const inside = -a * r >= -a * clipped;
        near(gradient[0]!, inside ? -a * r : 0);
        assert.equal(isClipped(Math.log(r), a, clipRange), !inside);
      }
  });

  test("at ratio 1 it is REINFORCE: the gradient is exactly minus the weighted advantage", async () => {
    const { loss, gradient } = await at([0, 0, 0], [0.5, -2, 0], 0.25);
    assert.deepEqual(gradient, [-0.125, 0.5, 0]);
    assert.equal(loss, 0.375);
  });

  test("outside of the range the gradient is 0, and no ratio is too large", async () => {
    const { loss, gradient } = await at([0.5, -0.5, 500, 500], [1, -1, 1, 0]);
    assert.ok(gradient.every((g) => g === 0));
    near(loss, -1.3 + 0.8 - 1.3);
  });

  const sigmas = shiftedSigmas(6, 3);
  const v = randn([2, 3, 8], { device, seed: 1 });

  test("the distance to the reference is the KL of the two steps, times -dt", async () => {
    const other = randn([2, 3, 8], { device, seed: 2 });
    const steps = [1, 3].map((i) => sdeStep(sigmas, i, { form: "flow", level: 0.7 }));
    const [a, b] = [await v.read(), await other.read()];
    const kl = a.reduce((sum, value, e) => {
      const step = steps[Math.floor(e / 24)]!;
      const one = (step.v * (value - b[e]!)) ** 2 / (2 * step.std ** 2);
      return sum + one * (step.from - step.to);
    }, 0);
    near(await referenceLoss(v, other, steps).item(), kl / 48);
    await checkGradients((velocity) => referenceLoss(velocity, other, steps), [v]);
  });

  test("equal velocities are at distance 0, with gradient 0", async () => {
    const x = leaf(v);
    const steps = [2, 2].map((i) => sdeStep(sigmas, i, { form: "flow", level: 0.7 }));
    const loss = referenceLoss(x, v, steps);
    backward(loss);
    assert.equal(await loss.item(), 0);
    assert.ok((await x.grad!.read()).every((g) => g === 0));
  });
});
