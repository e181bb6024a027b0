import assert from "node:assert/strict";
import { backward } from "../../ts/autograd/backward.js";
import { noGrad } from "../../ts/autograd/tape.js";
import { Draft } from "../../ts/methods/draft.js";
import { DraftLv, type DraftLvOptions, type DraftLvParts } from "../../ts/methods/draft_lv.js";
import { pictureOf, plainReward } from "../../ts/methods/picture.js";
import { draftLv as published } from "../../ts/methods/presets.js";
import { affine, combine, mean } from "../../ts/ops/index.js";
import { denoise } from "../../ts/sampler/denoise.js";
import { shiftedSigmas } from "../../ts/sampler/schedule.js";
import { memoryOf, synchronize } from "../../ts/tensor/device.js";
import { tensorScope } from "../../ts/tensor/scope.js";
import type { Tensor } from "../../ts/tensor/tensor.js";
import { forEachDevice, memoryInUse, relativeError } from "../support/index.js";
import { batchOf, captions, channels, tiny, tokens, updateOf, type Tiny } from "./tiny.js";

const plain: DraftLvOptions = {
  ...published,
  rolloutSteps: 3,
  shift: 3,
  rolloutGuidance: 2,
  guidance: 3,
  renoisings: 2,
  loss: { map: "linear", margin: 3, scale: 1 },
};

forEachDevice("DraftLv", (test, device) => {
  const make = (
    model: Tiny,
    options: Partial<DraftLvOptions> = {},
    other: Partial<DraftLvParts> = {},
  ): DraftLv => new DraftLv({ ...plain, ...options }, { ...model.parts, ...other });

  for (const map of ["linear", "hinge"] as const)
    test(`without renoisings it is DRaFT-1 to the bit, ${map}`, async () => {
      const model = await tiny(device);
      const batches = [batchOf(device, [0, 1])];
      const loss = { ...plain.loss, map };
      const lv = await updateOf(model, make(model, { renoisings: 0, loss }), batches);
      const options = { ...plain, loss, lastSteps: 1, recomputeSteps: true };
      const one = await updateOf(model, new Draft(options, model.parts), batches);
      assert.deepEqual(lv.terms, one.terms);
      assert.deepEqual(lv.gradient, one.gradient);
      model.dispose();
    });

  test("two renoisings are the mean of three rewards, by hand", async () => {
    const model = await tiny(device);
    const batch = batchOf(device, [0, 1]);
    const { policy, decoder, reward } = model.parts;
    const ours = await updateOf(model, make(model), [batch]);

    const sigmas = shiftedSigmas(3, 3);
    const sigma = sigmas[2]!;
    const velocity = (x: Tensor, s: number) => policy.velocity(x, [s, s], batch.features, 2);
    const before = await denoise(velocity, model.parts.drawNoise(batch), sigmas.subarray(0, 3));
    model.flux.parameters.zeroGradients();
    const differentiate = async (noisy: Tensor) => {
      const v = policy.velocity(noisy, [sigma, sigma], batch.features, 3);
      const clean = combine(noisy, v, { x: 1, y: -sigma });
      const score = plainReward(reward, pictureOf(decoder, clean), captions.slice(0, 2));
      const loss = affine(mean(score), -1 / 3, 0);
      backward(loss);
      return { clean, loss: await loss.item() };
    };
    const end = await differentiate(before);
    const losses = [end.loss];
    for (const draw of [0, 1]) {
      const noise = model.parts.drawRenoise(batch, draw);
      const noisy = noGrad(() =>
        combine(end.clean, noise, { x: Math.fround(1 - sigma), y: sigma }),
      );
      losses.push((await differentiate(noisy)).loss);
    }
    const names = ["end", "renoised", "renoised"];
    assert.deepEqual(
      ours.terms.map(([name]) => name),
      names,
    );
    ours.terms.forEach(([, loss], i) => assert.ok(Math.abs(loss - losses[i]!) < 1e-7));
    const gradient = await model.flux.parameters.gradients!.read();
    assert.ok(relativeError(ours.gradient, gradient) < 1e-6);
    model.dispose();
  });

  test("each renoising has noise of its own, a prompt's the same in any batch and never the rollout's", async () => {
    const { parts, ...model } = await tiny(device);
    const both = batchOf(device, [0, 1]);
    const rows = async (draw: number) => {
      const all = await parts.drawRenoise(both, draw).read();
      const n = tokens * channels;
      return [all.slice(0, n), all.slice(n)] as const;
    };
    const [first, second] = [await rows(0), await rows(1)];
    const start = await parts.drawNoise(batchOf(device, [0])).read();
    const all = [...first, ...second, start];
    all.forEach((a, i) => {
      for (const b of all.slice(i + 1)) assert.ok(relativeError(a, b) > 1);
    });
    assert.deepEqual(await parts.drawRenoise(batchOf(device, [1]), 1).read(), second[1]);
    model.dispose();
  });

  test("one prompt at a time or both make the same update", async () => {
    const model = await tiny(device);
    const of = (groups: number[][]) =>
      updateOf(
        model,
        make(model),
        groups.map((samples) => batchOf(device, samples, { of: 2 })),
      );
    const [together, apart] = [await of([[0, 1]]), await of([[0], [1]])];
    assert.ok(relativeError(apart.gradient, together.gradient) < 1e-5);
    model.dispose();
  });

  test("a term's memory is freed before the next one's is taken", async () => {
    const model = await tiny(device);
    using scope = tensorScope();
    void scope;
    await updateOf(model, make(model), [batchOf(device, [0])]);
    const batch = batchOf(device, [0]);
    await memoryInUse(device);
    const before = memoryOf(device).inUse;
    const peaks: number[] = [];
    for await (const { loss } of make(model, { renoisings: 6 }).terms(batch)) {
      peaks.push(memoryOf(device).inUse - before);
      backward(loss);
      await synchronize(device);
    }
    assert.equal(peaks.length, 7);
    for (const peak of peaks) assert.ok(peak < 1.1 * peaks[0]!, peaks.join(" "));
    assert.ok((await memoryInUse(device)) - before < peaks[0]! / 20);
    model.dispose();
  });

  test("a number of renoisings that is none is refused by name", async () => {
    const model = await tiny(device);
    for (const renoisings of [-1, 0.5])
      assert.throws(() => make(model, { renoisings }), {
        code: "ERR_CONFIG",
        message: `draft-lv: renoisings: expected a whole number, 0 or more, got ${renoisings}`,
      });
    model.dispose();
  });
});
