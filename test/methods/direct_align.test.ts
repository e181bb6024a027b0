import assert from "node:assert/strict";
import { DirectAlign, type DirectAlignOptions } from "../../ts/methods/direct_align.js";
import type { RelativeReward } from "../../ts/methods/method.js";
import { affine, clamp, sub, unpackLatent } from "../../ts/ops/index.js";
import { zeros } from "../../ts/tensor/tensor.js";
import { forEachDevice, relativeError } from "../support/index.js";
import {
  batchOf,
  captions,
  gradientsOf,
  side,
  tiny,
  tinyOptions,
  type Tiny,
  updateOf,
} from "./tiny.js";

const { window, rolloutGuidance, guidance } = tinyOptions;
const plain: DirectAlignOptions = {
  window,
  rolloutSteps: 2,
  rolloutGuidance,
  guidance,
  injections: 1,
  discountShift: 0,
};

forEachDevice("DirectAlign", (test, device) => {
  const align = (model: Tiny, options: Partial<DirectAlignOptions> = {}, parts = model.parts) =>
    new DirectAlign({ ...plain, ...options }, parts);
  const gradientOf = (method: DirectAlign, model: Tiny, groups: number[][]) =>
    updateOf(
      model,
      method,
      groups.map((samples) => batchOf(device, samples, { of: 2 })),
    );

  test("an exact model's loss is minus the caption's cosine with the clean picture, at any level", async () => {
    const model = await tiny(device);
    const batch = batchOf(device, [0, 1]);
    const noise = model.parts.drawNoise(batch);
    const clean = affine(noise, 0.3, 0.1);
    const { scalingFactor, shiftFactor } = model.decoder;
    const latent = affine(
      unpackLatent(clean, { height: side, width: side }),
      1 / scalingFactor,
      shiftFactor,
    );
    const image = clamp(affine(model.decoder.decode(latent), 0.5, 0.5), 0, 1);
    const text = model.reward.textFeatures(captions.slice(0, 2));
    const cosines = await model.reward
      .score(image, text, zeros(text.shape, { device }), [0, 0])
      .read();
    const exact = { velocity: () => sub(noise, clean) };
    for (const m of [5, 400, 995]) {
      const parts = { ...model.parts, policy: exact, drawIndex: () => m };
      const method = align(model, { discountShift: 3 }, parts);
      for await (const { loss } of method.terms({ ...batch, clean })) {
        const wanted = (-method.discount(m) * (cosines[0]! + cosines[1]!)) / 2;
        assert.ok(Math.abs((await loss.item()) - wanted) < 1e-6);
      }
    }
    model.dispose();
  });

  test("it is twice SRPO's denoise branch with the caption wanted, nothing unwanted and k 0", async () => {
    const model = await tiny(device);
    const { gradient } = await gradientOf(align(model), model, [[0, 1]]);
    const reward: RelativeReward = {
      // The control word is dropped: "<word>. <caption>".
      textFeatures: (prompts) =>
        model.reward.textFeatures(prompts.map((p) => p.slice(p.indexOf(". ") + 2))),
      score: (image, wanted, _unwanted, k) =>
        model.reward.score(image, wanted, zeros(wanted.shape, { device }), k),
    };
    const options = { branches: "denoise", discountPositive: [0, 0] } as const;
    const half = await gradientsOf(model, [batchOf(device, [0, 1])], options, { reward });
    const error = relativeError(
      gradient,
      half.map((g) => 2 * g),
    );
    assert.ok(error < 1e-5, `${error}`);
    model.dispose();
  });

  test("n injections are the mean of n single ones, each at a level of its own", async () => {
    const model = await tiny(device);
    const single = async (draw: number) => {
      const drawIndex: typeof model.parts.drawIndex = (batch, s, low, high) =>
        model.parts.drawIndex(batch, s, low, high, draw);
      return gradientOf(align(model, {}, { ...model.parts, drawIndex }), model, [[0, 1]]);
    };
    const [first, second] = [await single(0), await single(1)];
    const both = await gradientOf(align(model, { injections: 2 }), model, [[0, 1]]);
    assert.equal(both.terms.length, 2);
    const mean = first.gradient.map((g, i) => (g + second.gradient[i]!) / 2);
    assert.ok(relativeError(both.gradient, mean) < 1e-5);
    assert.ok(relativeError(second.gradient, first.gradient) > 1e-2);
    model.dispose();
  });

  test("one prompt at a time or both make the same update", async () => {
    const model = await tiny(device);
    const method = align(model, { injections: 2, discountShift: 3 });
    const together = await gradientOf(method, model, [[0, 1]]);
    const apart = await gradientOf(method, model, [[0], [1]]);
    assert.ok(relativeError(apart.gradient, together.gradient) < 1e-5);
    model.dispose();
  });

  test("lambda grows with the noise, from 0 to 1, as the shifted place in the window", async () => {
    const model = await tiny(device);
    const method = align(model, { discountShift: 3 });
    assert.equal(method.discount(0), 0);
    assert.equal(method.discount(1000), 1);
    assert.equal(method.discount(500), 0.75);
    assert.equal(align(model).discount(500), 1);
    model.dispose();
  });

  test("a window that begins at pure noise recovers at 0.99 at most", async () => {
    const model = await tiny(device);
    const parts = { ...model.parts, drawIndex: () => 995 };
    const method = align(model, { window: { ...window, range: [0, 25] } }, parts);
    assert.ok(method.window.denoise(995).to > 0.99);
    const { loss, gradient } = await gradientOf(method, model, [[0, 1]]);
    assert.ok(Number.isFinite(loss) && gradient.every(Number.isFinite));
    model.dispose();
  });
});
