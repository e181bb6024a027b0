import assert from "node:assert/strict";
import { backward } from "../../ts/autograd/backward.js";
import { isRecording, noGrad } from "../../ts/autograd/tape.js";
import { Draft, type DraftOptions, type DraftParts } from "../../ts/methods/draft.js";
import type { Policy } from "../../ts/methods/method.js";
import { pictureOf, plainReward } from "../../ts/methods/picture.js";
import { draft as published } from "../../ts/methods/presets.js";
import { affine, combine, mean } from "../../ts/ops/index.js";
import { shiftedSigmas } from "../../ts/sampler/schedule.js";
import { memoryOf, synchronize } from "../../ts/tensor/device.js";
import { tensorScope } from "../../ts/tensor/scope.js";
import {
  assertSameBitsForThreads,
  forEachDevice,
  memoryInUse,
  relativeError,
} from "../support/index.js";
import { checkSlopes } from "./slope.js";
import { batchOf, captions, frozenRollout, tiny, updateOf, type Tiny } from "./tiny.js";

const plain: DraftOptions = {
  ...published,
  rolloutSteps: 3,
  shift: 3,
  rolloutGuidance: 2,
  guidance: 3,
  lastSteps: 1,
  recomputeSteps: false,
};

forEachDevice("Draft", (test, device) => {
  const make = (
    model: Tiny,
    options: Partial<DraftOptions> = {},
    other: Partial<DraftParts> = {},
  ): Draft => new Draft({ ...plain, ...options }, { ...model.parts, ...other });

  for (const K of [1, 2, 3])
    test(`K = ${K} of 3 is the definition by hand`, async () => {
      const model = await tiny(device);
      const batch = batchOf(device, [0, 1]);
      const { policy, decoder, reward } = model.parts;
      const ours = await updateOf(model, make(model, { lastSteps: K }), [batch]);

      const sigmas = shiftedSigmas(3, 3);
      let x = model.parts.drawNoise(batch);
      const step = (j: number, guidance: number) => {
        const [from, to] = [sigmas[j]!, sigmas[j + 1]!];
        const v = policy.velocity(x, [from, from], batch.features, guidance);
        x = combine(x, v, { x: 1, y: Math.fround(to - from) });
      };
      noGrad(() => {
        for (let j = 0; j < 3 - K; ++j) step(j, 2);
      });
      for (let j = 3 - K; j < 3; ++j) step(j, 3);
      const score = plainReward(reward, pictureOf(decoder, x), captions.slice(0, 2));
      const loss = affine(mean(score), -1, 0);
      model.flux.parameters.zeroGradients();
      backward(loss);
      assert.deepEqual(ours.terms, [["end", await loss.item()]]);
      assert.deepEqual(ours.gradient, await model.flux.parameters.gradients!.read());
      model.dispose();
    });

  for (const K of [1, 3])
    test(`K = ${K}: the gradient is the slope of the loss, the steps before held still`, async () => {
      const [model, frozen] = [await tiny(device), await tiny(device)];
      const method = make(model, { lastSteps: K }, { policy: frozenRollout(model, frozen) });
      const batches = [batchOf(device, [0])];
      const { gradient } = await updateOf(model, method, batches);
      await checkSlopes(
        model.flux.parameters.weights,
        gradient,
        async () => (await updateOf(model, method, batches)).loss,
      );
      for (const each of [model, frozen]) each.dispose();
    });

  for (const dtype of ["float32", "bfloat16"] as const)
    test(`${dtype}: a step at a time gives the bits of all on one tape`, async () => {
      const model = await tiny(device, { dtype });
      for (const lastSteps of [1, 2, 3]) {
        const batches = [batchOf(device, [0, 1])];
        const together = await updateOf(model, make(model, { lastSteps }), batches);
        const apart = make(model, { lastSteps, recomputeSteps: true });
        const steps = await updateOf(model, apart, batches);
        assert.deepEqual(
          steps.terms.map(([name]) => name),
          ["end", "chain", "chain"].slice(0, lastSteps),
        );
        assert.equal(steps.terms[0]![1], together.loss);
        assert.deepEqual(steps.gradient, together.gradient);
      }
      model.dispose();
    });

  test("recomputing blocks, the VAE's and steps changes nothing", async () => {
    const batches = [batchOf(device, [0, 1])];
    const gradients: Float32Array[] = [];
    for (const recompute of [false, true])
      for (const recomputeSteps of [false, true]) {
        const model = await tiny(device, { recompute, recomputeVae: recompute });
        const method = make(model, { lastSteps: 3, recomputeSteps });
        gradients.push((await updateOf(model, method, batches)).gradient);
        model.dispose();
      }
    for (const other of gradients.slice(1)) assert.ok(relativeError(other, gradients[0]!) < 1e-6);
  });

  test("the gradient's bits do not depend on the number of threads", async () => {
    const model = await tiny(device);
    await assertSameBitsForThreads(async () => {
      const method = make(model, { lastSteps: 2, recomputeSteps: true });
      await updateOf(model, method, [batchOf(device, [0, 1])]);
      return [model.flux.parameters.gradients!];
    });
    model.dispose();
  });

  test("steps before the last K are not recorded, and have the rollout's guidance", async () => {
    const model = await tiny(device);
    for (const recomputeSteps of [false, true]) {
      const calls: string[] = [];
      const policy: Policy = {
        velocity(x, sigmas, features, guidance) {
          calls.push(`${isRecording() ? "recorded" : "plain"} ${guidance}`);
          return model.policy.velocity(x, sigmas, features, guidance);
        },
      };
      const method = make(model, { lastSteps: 2, recomputeSteps }, { policy });
      await updateOf(model, method, [batchOf(device, [0])]);
      const recorded = ["recorded 3", "recorded 3"];
      assert.deepEqual(calls, ["plain 2", ...(recomputeSteps ? ["plain 3"] : []), ...recorded]);
    }
    model.dispose();
  });

  test("one tape grows with K, a step at a time does not; both are freed", async () => {
    const model = await tiny(device);
    const most = async (lastSteps: number, recomputeSteps: boolean) => {
      using scope = tensorScope();
      void scope;
      const batch = batchOf(device, [0]);
      await memoryInUse(device);
      const before = memoryOf(device).inUse;
      let peak = 0;
      const method = make(model, { rolloutSteps: 6, lastSteps, recomputeSteps });
      for await (const { loss } of method.terms(batch)) {
        peak = Math.max(peak, memoryOf(device).inUse - before);
        backward(loss);
        await synchronize(device);
      }
      const left = (await memoryInUse(device)) - before;
      return { peak, left };
    };
    await most(6, true);
    const [one, six] = [await most(1, false), await most(6, false)];
    assert.ok(six.peak > 2 * one.peak, `${six.peak} against ${one.peak}`);
    const apart = await most(6, true);
    assert.ok(apart.peak < 1.2 * one.peak, `${apart.peak} against ${one.peak}`);
    assert.ok(Math.max(one.left, six.left, apart.left) < one.peak / 20);
    model.dispose();
  });

  test("one prompt at a time or both make the same update", async () => {
    const model = await tiny(device);
    const method = make(model, { lastSteps: 2, recomputeSteps: true });
    const of = (groups: number[][]) =>
      updateOf(
        model,
        method,
        groups.map((samples) => batchOf(device, samples, { of: 2 })),
      );
    const [together, apart] = [await of([[0, 1]]), await of([[0], [1]])];
    assert.ok(relativeError(apart.gradient, together.gradient) < 1e-5);
    model.dispose();
  });

  test("a term that nobody differentiated is named", async () => {
    const model = await tiny(device);
    const method = make(model, { lastSteps: 2, recomputeSteps: true });
    await assert.rejects(
      async () => {
        for await (const { loss } of method.terms(batchOf(device, [0]))) void loss;
      },
      { code: "ERR_GRADIENT", message: /draft: expected each term to be differentiated/ },
    );
    model.dispose();
  });

  test("more steps than the rollout has are refused by name", async () => {
    const model = await tiny(device);
    for (const lastSteps of [0, 4, 1.5])
      assert.throws(() => make(model, { lastSteps }), {
        code: "ERR_CONFIG",
        message: `draft: lastSteps: expected a whole number from 1 to rolloutSteps, 3, got ${lastSteps}`,
      });
    model.dispose();
  });
});
