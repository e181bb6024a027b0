import assert from "node:assert/strict";
import { backward } from "../../ts/autograd/backward.js";
import { isRecording, noGrad } from "../../ts/autograd/tape.js";
import type { Policy } from "../../ts/methods/method.js";
import { pictureOf, plainReward } from "../../ts/methods/picture.js";
import { refl as published } from "../../ts/methods/presets.js";
import { Refl, type ReflOptions, type ReflParts } from "../../ts/methods/refl.js";
import { cleanEstimate } from "../../ts/methods/rollout.js";
import { affine, combine, concat, mean, mse, scale, slice, sub } from "../../ts/ops/index.js";
import { shiftedSigmas } from "../../ts/sampler/schedule.js";
import { memoryOf, synchronize } from "../../ts/tensor/device.js";
import { tensorScope } from "../../ts/tensor/scope.js";
import type { Tensor } from "../../ts/tensor/tensor.js";
import { forEachDevice, leaf, memoryInUse, randn, relativeError } from "../support/index.js";
import { checkSlopes } from "./slope.js";
import {
  batchOf,
  captions,
  channels,
  frozenRollout,
  tiny,
  tokens,
  updateOf,
  type Tiny,
} from "./tiny.js";

const plain: ReflOptions = {
  ...published,
  rolloutSteps: 4,
  shift: 3,
  stopSteps: 3,
  rolloutGuidance: 2,
  guidance: 3,
  loss: { map: "linear", margin: 3, scale: 1 },
};

forEachDevice("Refl", (test, device) => {
  const make = (
    model: Tiny,
    options: Partial<ReflOptions> = {},
    other: Partial<ReflParts> = {},
  ): Refl => new Refl({ ...plain, ...options }, { ...model.parts, ...other });
  const stoppedAt = (...stops: number[]): Pick<ReflParts, "drawStop"> => ({
    drawStop: (_, sample) => stops[sample]!,
  });

  test("the estimate's gradient at the velocity is -sigma of each sample", async () => {
    const v = leaf(randn([2, tokens, channels], { device, seed: 1 }));
    const noisy = randn([2, tokens, channels], { device, seed: 2 });
    const cotangent = randn([2, tokens, channels], { device, seed: 3 });
    const { features } = batchOf(device, [0, 1]);
    const policy = { velocity: () => v };
    backward(cleanEstimate(policy, noisy, [0.75, 0.125], features, 1), cotangent);
    const rows = [slice(cotangent, 0, 0, 1), slice(cotangent, 0, 1, 1)];
    const expected = concat([affine(rows[0]!, -0.75, 0), affine(rows[1]!, -0.125, 0)], 0);
    assert.deepEqual(await v.grad!.read(), await expected.read());
  });

  test("stopped before given steps it is the computation by hand, each prompt at its own level", async () => {
    const model = await tiny(device);
    const batch = batchOf(device, [0, 1]);
    const { policy, decoder, reward } = model.parts;
    const ours = await updateOf(model, make(model, {}, stoppedAt(1, 3)), [batch]);

    const sigmas = shiftedSigmas(4, 3);
    const states = [model.parts.drawNoise(batch)];
    noGrad(() => {
      for (let j = 0; j < 3; ++j) {
        const [from, to] = [sigmas[j]!, sigmas[j + 1]!];
        const v = policy.velocity(states[j]!, [from, from], batch.features, 2);
        states.push(combine(states[j]!, v, { x: 1, y: Math.fround(to - from) }));
      }
    });
    const noisy = concat([slice(states[1]!, 0, 0, 1), slice(states[3]!, 0, 1, 1)], 0);
    const levels = [sigmas[1]!, sigmas[3]!];
    const v = policy.velocity(noisy, levels, batch.features, 3);
    const clean = combine(noisy, v, { x: 1, y: levels.map((sigma) => -sigma) });
    const score = plainReward(reward, pictureOf(decoder, clean), captions.slice(0, 2));
    const loss = affine(mean(score), -1, 0);
    model.flux.parameters.zeroGradients();
    backward(loss);
    assert.deepEqual(ours.terms, [["estimate", await loss.item()]]);
    assert.deepEqual(ours.gradient, await model.flux.parameters.gradients!.read());
    model.dispose();
  });

  test("the gradient is the slope of the loss, the stopped rollout held still", async () => {
    const [model, frozen] = [await tiny(device), await tiny(device)];
    const method = make(model, {}, { ...stoppedAt(2), policy: frozenRollout(model, frozen) });
    const batches = [batchOf(device, [0])];
    const { gradient } = await updateOf(model, method, batches);
    await checkSlopes(
      model.flux.parameters.weights,
      gradient,
      async () => (await updateOf(model, method, batches)).loss,
    );
    for (const each of [model, frozen]) each.dispose();
  });

  test("an exact model's estimate is the clean picture, wherever it is stopped", async () => {
    const model = await tiny(device);
    const batch = batchOf(device, [0, 1]);
    const noise = model.parts.drawNoise(batch);
    const clean = affine(noise, 0.3, 0.1);
    const image = pictureOf(model.decoder, clean);
    const rewards = await plainReward(model.reward, image, captions.slice(0, 2)).read();
    const policy: Policy = { velocity: () => sub(noise, clean) };
    for (const stop of [1, 2, 3]) {
      const method = make(model, {}, { ...stoppedAt(stop, stop), policy });
      for await (const { loss } of method.terms(batch))
        assert.ok(Math.abs((await loss.item()) + (rewards[0]! + rewards[1]!) / 2) < 1e-6);
    }
    model.dispose();
  });

  test("stops are uniform among the last steps, a prompt's own, and the same in any grouping", async () => {
    const model = await tiny(device, { noise: "per-prompt" });
    const counts = new Map<number, number>();
    for (let step = 1; step <= 3000; ++step) {
      const stop = model.parts.drawStop(batchOf(device, [0], { step }), step % 7, 14, 24);
      counts.set(stop, (counts.get(stop) ?? 0) + 1);
    }
    assert.deepEqual(
      [...counts.keys()].toSorted((a, b) => a - b),
      Array.from({ length: 11 }, (_, i) => 14 + i),
    );
    // 273 each on average, 16 the deviation.
    for (const count of counts.values()) assert.ok(Math.abs(count - 3000 / 11) < 80, `${count}`);

    const together = await updateOf(model, make(model), [batchOf(device, [0, 1, 2])]);
    const apart = await updateOf(
      model,
      make(model),
      [[0], [1, 2]].map((samples) => batchOf(device, samples, { of: 3 })),
    );
    assert.ok(relativeError(apart.gradient, together.gradient) < 1e-5);
    model.dispose();
  });

  test("only the estimate's call is recorded; the steps after the last stop are not run", async () => {
    const model = await tiny(device);
    const calls: [recorded: boolean, guidance: number][] = [];
    const policy: Policy = {
      velocity(x, sigmas, features, guidance) {
        calls.push([isRecording(), guidance]);
        assert.ok(!x.requiresGrad);
        return model.policy.velocity(x, sigmas, features, guidance);
      },
    };
    await updateOf(model, make(model, {}, { ...stoppedAt(1, 2), policy }), [
      batchOf(device, [0, 1]),
    ]);
    assert.deepEqual(calls, [
      [false, 2],
      [false, 2],
      [true, 3],
    ]);
    model.dispose();
  });

  test("the hinge pulls as the plain loss does while it is open, and not at all past the margin", async () => {
    const model = await tiny(device);
    const batches = [batchOf(device, [0, 1])];
    const of = (loss: Partial<ReflOptions["loss"]>) =>
      updateOf(model, make(model, { loss: { ...plain.loss, ...loss } }), batches);
    const linear = await of({});
    const open = await of({ map: "hinge" });
    assert.ok(Math.abs(open.loss - linear.loss - 3) < 1e-6);
    assert.ok(relativeError(open.gradient, linear.gradient) < 1e-6);
    const closed = await of({ map: "hinge", margin: -3 });
    assert.equal(closed.loss, 0);
    assert.ok(closed.gradient.every((g) => g === 0));
    for (const map of ["linear", "hinge"] as const) {
      const small = await of({ map, scale: 1 / 1024 });
      const expected = linear.gradient.map((g) => g / 1024);
      assert.ok(relativeError(small.gradient, expected) < 1e-6);
    }
    model.dispose();
  });

  test("real pictures add the denoising loss, by hand, at a drawn level each", async () => {
    const model = await tiny(device);
    const clean = randn([2, tokens, channels], { device, seed: 7 });
    const batch = { ...batchOf(device, [0, 1]), clean };
    const drawIndex = (_: unknown, sample: number) => [250, 900][sample]!;
    const options = { pretrainWeight: 3 };
    const method = make(model, options, { drawIndex });
    const online = await updateOf(model, method, [batchOf(device, [0, 1])]);
    const both = await updateOf(model, method, [batch]);
    assert.deepEqual(
      both.terms.map(([name]) => name),
      ["estimate", "pretrain"],
    );
    assert.deepEqual(both.terms[0], online.terms[0]);
    const none = await updateOf(model, make(model, { pretrainWeight: 0 }), [batch]);
    assert.deepEqual(none.gradient, online.gradient);

    const table = shiftedSigmas(1000, 3);
    const levels = [table[250]!, table[900]!];
    const noise = model.parts.drawRenoise(batch, 0);
    const kept = levels.map((sigma) => Math.fround(1 - sigma));
    const noisy = combine(clean, noise, { x: kept, y: levels });
    const v = model.policy.velocity(noisy, levels, batch.features, 1);
    model.flux.parameters.zeroGradients();
    const loss = scale(mse(v, sub(noise, clean)), 3);
    backward(loss);
    assert.equal(both.terms[1]![1], await loss.item());
    const pretrain = await model.flux.parameters.gradients!.read();
    const sum = online.gradient.map((g, i) => g + pretrain[i]!);
    assert.ok(relativeError(both.gradient, sum) < 1e-6);

    const exact = { velocity: () => sub(noise, clean) };
    for await (const term of make(model, {}, { policy: exact }).terms(batch))
      if (term.name === "pretrain") assert.equal(await term.loss.item(), 0);
    const alone = [0, 1].map((s) => ({
      ...batchOf(device, [s], { of: 2 }),
      clean: slice(clean, 0, s, 1),
    }));
    const [together, apart] = [
      await updateOf(model, make(model), [batch]),
      await updateOf(model, make(model), alone),
    ];
    assert.ok(relativeError(apart.gradient, together.gradient) < 1e-5);
    model.dispose();
  });

  test("what an update made is freed with its batch", async () => {
    const model = await tiny(device);
    const used: number[] = [];
    const images: Tensor[] = [];
    for (let i = 0; i < 3; ++i) {
      using scope = tensorScope();
      void scope;
      await updateOf(model, make(model), [batchOf(device, [0, 1])]);
    }
    for (let i = 0; i < 2; ++i) {
      {
        using scope = tensorScope();
        void scope;
        const batch = batchOf(device, [0, 1]);
        const before = memoryOf(device).inUse;
        for await (const { loss } of make(model).terms(batch)) images.push(loss);
        await synchronize(device);
        // The method's own scope has ended; what is left is the noise it drew.
        assert.ok(memoryOf(device).inUse - before <= 2 * 4 * 2 * tokens * channels);
      }
      used.push(await memoryInUse(device));
    }
    assert.equal(used[1], used[0]);
    assert.ok(images.every((loss) => loss.disposed));
    model.dispose();
  });

  test("stops outside the rollout are refused by name", async () => {
    const model = await tiny(device);
    for (const stopSteps of [0, 5, 1.5])
      assert.throws(() => make(model, { stopSteps }), {
        code: "ERR_CONFIG",
        message: `refl: stopSteps: expected a whole number from 1 to rolloutSteps, 4, got ${stopSteps}`,
      });
    model.dispose();
  });
});
