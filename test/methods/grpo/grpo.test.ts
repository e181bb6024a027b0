// GRPO's identities (methods.md 17), through the tiny models.
import assert from "node:assert/strict";
import { backward } from "../../../ts/autograd/backward.js";
import { noGrad } from "../../../ts/autograd/tape.js";
import { groupAdvantages } from "../../../ts/methods/grpo/advantages.js";
import { Grpo, type GrpoOptions, type GrpoParts } from "../../../ts/methods/grpo/grpo.js";
import { danceGrpo, flowGrpo } from "../../../ts/methods/grpo/presets.js";
import { stochasticRollout } from "../../../ts/methods/grpo/rollout.js";
import type { Batch } from "../../../ts/methods/method.js";
import { pictureOf, plainReward } from "../../../ts/methods/picture.js";
import { add, affine, scale, sum } from "../../../ts/ops/index.js";
import { sdeLogDensity, sdeMean } from "../../../ts/sampler/sde.js";
import { tensorScope } from "../../../ts/tensor/scope.js";
import { tensor, type Tensor } from "../../../ts/tensor/tensor.js";
import { forEachDevice, memoryInUse, relativeError, uniforms } from "../../support/index.js";
import { batchOf, tiny, watched, type Tiny } from "../tiny.js";

const dance: GrpoOptions = {
  ...danceGrpo,
  rolloutSteps: 4,
  trainedFraction: 0.7,
  groupSize: 4,
  passes: 2,
};
const flow: GrpoOptions = { ...flowGrpo, rolloutSteps: 4, groupSize: 4, passes: 2 };
const fast: GrpoOptions = { ...flow, sdeForm: "cps", noiseLevel: 0.8, sdeWindow: 2 };

forEachDevice("Grpo", (test, device) => {
  // The emulated device takes seconds a case: there one form stands for all, whose ops are the same.
  const emulated = device === "emulated";
  const forms = Object.entries(emulated ? { fast } : { dance, flow, fast });
  const modes = emulated
    ? ([["bfloat16", true]] as const)
    : (["float32", "bfloat16"] as const).flatMap((dtype) =>
        [false, true].map((recompute) => [dtype, recompute] as const),
      );
  const grpoOf = ({ parts }: Tiny, options: GrpoOptions, other: Partial<GrpoParts> = {}) =>
    new Grpo(options, { ...parts, ...other });
  const batchesOf = (...groups: number[][]) =>
    groups.map((samples) => batchOf(device, samples, { of: groups.flat().length }));

  /** Differentiates a pass as the trainer does. Returns each term's loss and numbers. */
  const passOf = async (grpo: Grpo, batches: readonly Batch[], pass = 0) => {
    const terms: Record<string, number>[] = [];
    for (const batch of batches) {
      using scope = tensorScope();
      void scope;
      for await (const { loss, metrics } of grpo.terms({ ...batch, pass })) {
        backward(loss);
        const named = Object.entries(metrics).map(
          async ([name, value]) =>
            [name, typeof value === "number" ? value : await value.item()] as const,
        );
        terms.push(Object.fromEntries(await Promise.all(named)));
      }
    }
    return terms;
  };
  const collected = async (grpo: Grpo, batches: readonly Batch[]) => {
    for (const batch of batches) await grpo.collect(batch);
    return grpo;
  };
  const total = (terms: readonly Record<string, number>[]) =>
    terms.reduce((all, { loss }) => all + loss!, 0);
  const gradientOf = async (model: Tiny, grpo: Grpo, batches: readonly Batch[], pass = 0) => {
    model.flux.parameters.zeroGradients();
    await passOf(grpo, batches, pass);
    return model.flux.parameters.gradients!.read();
  };

  for (const [name, options] of forms)
    for (const [dtype, recompute] of modes)
      test(`${name}, ${dtype}${recompute ? ", recomputed" : ""}: every ratio is 1 before the first update, to the bit`, async () => {
        const model = await tiny(device, { dtype, recompute });
        const batches = batchesOf([0, 1, 2], [3]);
        const grpo = await collected(grpoOf(model, options), batches);
        let losses = 0;
        for (const pass of [0, 1]) {
          const terms = await passOf(grpo, batches, pass);
          assert.equal(terms.length, 2 * 2 * grpo.planner.trained);
          for (const { ratio, clipped, reward } of terms) {
            assert.equal(ratio, 1);
            assert.equal(clipped, 0);
            assert.ok(Number.isFinite(reward));
          }
          losses += total(terms);
        }
        // -A each, and a group's advantages sum to 0.
        assert.ok(Math.abs(losses) < 1e-5, `${losses}`);
        for (const advantages of grpo.advantages().values()) {
          assert.ok(Math.abs(advantages.reduce((a, b) => a + b)) < 1e-6);
          assert.ok(advantages.some((a) => Math.abs(a) > 1e-2));
        }
        model.dispose();
      });

  test("at ratio 1 the gradient is REINFORCE's: of -A log p, averaged over pictures and steps", async () => {
    const model = await tiny(device);
    const { policy, decoder, reward, groups } = model.parts;
    const [batch] = batchesOf([2]) as [Batch];
    const grpo = await collected(grpoOf(model, dance), [batch]);
    const gradient = await gradientOf(model, grpo, [batch], 1);

    // The same from the draws on: pictures 8 to 11, from the noise of 8.
    const velocity = (x: Tensor, sigma: number) => policy.velocity(x, [sigma], batch.features, 3.5);
    const members = [];
    for (const picture of [8, 9, 10, 11]) {
      const plan = grpo.planner.plan(0, () => groups.drawOrder(1, picture, 3));
      const rollout = await stochasticRollout(velocity, groups.drawStart(1, [8]), [plan], (i) =>
        groups.drawStepNoise(1, [picture], i),
      );
      const image = noGrad(() => pictureOf(decoder, rollout.end));
      const score = await noGrad(() => plainReward(reward, image, batch.captions)).item();
      members.push({ plan, rollout, score });
    }
    const [advantages] = groupAdvantages([members.map(({ score }) => score)], dance.advantages);
    model.flux.parameters.zeroGradients();
    for (const m of [2, 3]) {
      const { plan, rollout } = members[m]!;
      for (const i of plan.trained) {
        const step = [plan.steps[i]!];
        const mean = sdeMean(rollout.states[i]!, velocity(rollout.states[i]!, step[0]!.from), step);
        const density = sdeLogDensity(rollout.states[i + 1]!, mean, step);
        backward(scale(sum(density), -advantages![m]! / (2 * 2)));
      }
    }
    const expected = await model.flux.parameters.gradients!.read();
    const error = relativeError(gradient, expected);
    assert.ok(error < 1e-6, `${error}`);
    assert.ok(gradient.some((g) => g !== 0));
    model.dispose();
  });

  for (const [name, options] of forms)
    test(`${name}: away from the rollouts' weights the gradient is the loss's slope, KL included`, async () => {
      const [model, start] = [await tiny(device), await tiny(device)];
      const batches = batchesOf([0, 1]);
      const grpo = await collected(
        grpoOf(
          model,
          { ...options, clipRange: [0.5, 1], klWeight: 0.3 },
          { reference: start.policy },
        ),
        batches,
      );
      const { weights } = model.flux.parameters;
      const values = await weights.read();
      // Far enough that neither the ratio nor the distance to the reference is flat.
      const moved = values.map((w, i) => w + 0.01 * (i % 7) - 0.03);
      const base = tensor(moved, undefined, { device });
      weights.copyFrom(base);
      const terms = await passOf(grpo, batches);
      assert.ok(terms.every(({ ratio, kl }) => ratio !== 1 && kl! > 0));
      const gradient = await gradientOf(model, grpo, batches);
      const norm = Math.sqrt(gradient.reduce((all, g) => all + g * g, 0));
      const random = uniforms(gradient.length, 5, -1, 1);
      for (const [direction, step] of [
        [gradient.map((g) => g / norm), 0.02],
        [gradient.map((g, i) => g / norm + 0.02 * random[i]!), 0.01],
      ] as const) {
        const at = async (by: number) => {
          weights.copyFrom(add(base, affine(tensor(direction, undefined, { device }), by, 0)));
          return total(await passOf(grpo, batches));
        };
        const slope = ((await at(step)) - (await at(-step))) / (2 * step);
        const exact = gradient.reduce((all, g, i) => all + g * direction[i]!, 0);
        assert.ok(Math.abs(slope / exact - 1) < 2e-2, `slope ${slope}, gradient ${exact}`);
      }
      model.dispose();
      start.dispose();
    });

  test("the distance to the reference is 0 at the start, and adds no gradient", async () => {
    const [model, start] = [await tiny(device), await tiny(device)];
    const batches = batchesOf([0, 1]);
    const plain = await collected(grpoOf(model, flow), batches);
    const gradient = await gradientOf(model, plain, batches);
    const reference = start.policy;
    const held = await collected(grpoOf(model, { ...flow, klWeight: 10 }, { reference }), batches);
    model.flux.parameters.zeroGradients();
    assert.ok((await passOf(held, batches)).every(({ kl }) => kl === 0));
    assert.deepEqual(await model.flux.parameters.gradients!.read(), gradient);
    model.dispose();
    start.dispose();
  });

  test("a term has a gradient unless its ratio is beyond its range on the advantage's side", async () => {
    const model = await tiny(device);
    const { weights, gradients } = model.flux.parameters;
    const batches = batchesOf([1]);
    const grpo = await collected(grpoOf(model, flow), batches);
    const gradient = await gradientOf(model, grpo, batches);
    const norm = Math.sqrt(gradient.reduce((all, g) => all + g * g, 0));
    const start = tensor(await weights.read(), undefined, { device });
    let moves = 0;
    let terms = 0;
    // Down the gradient ratios go where the advantages want them, up it they do not.
    for (const by of [-0.05, 0.05]) {
      weights.copyFrom(add(start, affine(tensor(gradient, undefined, { device }), by / norm, 0)));
      for await (const { loss, metrics } of grpo.terms({ ...batches[0]!, pass: 0 })) {
        model.flux.parameters.zeroGradients();
        backward(loss);
        const none = (await gradients!.read()).every((g) => g === 0);
        assert.equal(none, metrics["clipped"] === 1);
        moves += none ? Math.sign(by) : 0;
        terms += 1;
      }
    }
    assert.equal(terms, 2 * 2 * 3);
    assert.ok(moves < 0, `${moves}`);
    model.dispose();
  });

  test("one prompt at a time or both make the same update", async () => {
    const model = await tiny(device);
    const gradients = [];
    for (const batches of [batchesOf([0, 1]), batchesOf([0], [1])]) {
      const grpo = await collected(grpoOf(model, dance), batches);
      gradients.push(await gradientOf(model, grpo, batches));
    }
    // Rewards differ in their last bits, and advantages magnify that.
    assert.ok(relativeError(gradients[1]!, gradients[0]!) < 1e-3);
    model.dispose();
  });

  test("members of a group start from one noise, or from one each", async () => {
    const model = await tiny(device);
    const { groups } = model.parts;
    for (const [groupNoise, expected] of [
      ["group", [4, 4, 4, 4]],
      ["picture", [4, 5, 6, 7]],
    ] as const) {
      const seen: number[] = [];
      const drawStart: typeof groups.drawStart = (step, pictures) => {
        seen.push(...pictures);
        return groups.drawStart(step, pictures);
      };
      const parts = { groups: { ...groups, drawStart } };
      await collected(grpoOf(model, { ...flow, groupNoise }, parts), batchesOf([1]));
      assert.deepEqual(seen, expected);
    }
    model.dispose();
  });

  test("it costs a call a rollout's step, and one a trained step of the pass", async () => {
    const model = await tiny(device);
    let calls = 0;
    const policy = watched(model.policy, (_, guidance) => {
      calls += 1;
      assert.equal(guidance, 3.5);
    });
    const batches = batchesOf([0, 1]);
    const grpo = await collected(grpoOf(model, dance, { policy }), batches);
    assert.equal(calls, 4 * 4);
    await passOf(grpo, batches, 1);
    assert.equal(calls, 4 * 4 + 2 * 2);
    model.dispose();
  });

  test("an update leaves nothing behind; the same update again is the same", async () => {
    const model = await tiny(device);
    const batches = batchesOf([0, 1]);
    const grpo = grpoOf(model, flow);
    const update = async () => {
      using scope = tensorScope();
      void scope;
      await collected(grpo, batches);
      return await gradientOf(model, grpo, batches, 1);
    };
    const first = await update();
    const before = await memoryInUse(device);
    for (let i = 0; i < 3; ++i) assert.deepEqual(await update(), first);
    assert.ok((await memoryInUse(device)) <= before);
    model.dispose();
  });

  test("a reference that is missing, and prompts that were not collected, are named", async () => {
    const model = await tiny(device);
    assert.throws(() => grpoOf(model, { ...flow, klWeight: 0.04 }), {
      code: "ERR_CONFIG",
      message: "grpo: reference: expected the policy's frozen start for klWeight 0.04, got none",
    });
    const grpo = await collected(grpoOf(model, flow), batchesOf([0, 1]));
    await assert.rejects(passOf(grpo, batchesOf([0])), {
      code: "ERR_CONFIG",
      message: /^grpo: terms: expected a batch that was collected in update 1, got prompts 0$/,
    });
    model.dispose();
  });
});
