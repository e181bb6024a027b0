// The method's own identities (methods.md 17): what must hold whatever the weights.
import assert from "node:assert/strict";
import { backward } from "../../ts/autograd/backward.js";
import { requireGrad } from "../../ts/autograd/tape.js";
import { recoverImage } from "../../ts/methods/known_noise.js";
import type { LatentDecoder, RelativeReward } from "../../ts/methods/method.js";
import { srpoHps } from "../../ts/methods/presets.js";
import { Srpo } from "../../ts/methods/srpo.js";
import { recoveryGain, type BranchPlan } from "../../ts/methods/window.js";
import { affine, packLatent, sub } from "../../ts/ops/index.js";
import { memoryOf, synchronize } from "../../ts/tensor/device.js";
import { tensorScope } from "../../ts/tensor/scope.js";
import { tensor, type Tensor } from "../../ts/tensor/tensor.js";
import { forEachDevice, leaf, memoryInUse, randn, relativeError } from "../support/index.js";
import {
  accumulate,
  batchOf,
  captions,
  channels,
  gradientsOf,
  side,
  srpoOf,
  tiny,
  tinyOptions,
  tokens,
  watched,
} from "./tiny.js";

forEachDevice("Srpo", (test, device) => {
  const plain: LatentDecoder = {
    height: side,
    width: side,
    scalingFactor: 0.3611,
    shiftFactor: 0.1159,
    decode: (latent) => latent,
  };
  const unused = () => {
    throw new Error("not to be called");
  };
  const nobody: RelativeReward = { textFeatures: unused, score: unused };
  const drawn = { drawNoise: unused, drawIndex: unused };
  const state = (seed: number) => randn([1, tokens, channels], { device, seed });

  test("an exact model gives back the clean latents, at every index and in both branches", async () => {
    const [clean, noise] = [state(1), state(2)];
    const srpo = new Srpo(srpoHps, {
      policy: { velocity: () => sub(noise, clean) },
      decoder: plain,
      reward: nobody,
      ...drawn,
    });
    const { features } = batchOf(device, [0]);
    for (const m of [5, 6, 99, 100, 101, 500, 900, 950, 995])
      for (const branch of ["denoise", "inversion"] as const) {
        const plan = srpo.window[branch](m);
        const known = { clean, noise, features };
        const { decoded } = recoverImage(srpo.parts, known, [plan], 3.5);
        const { scalingFactor, shiftFactor } = plain;
        const recovered = packLatent(affine(decoded, scalingFactor, -shiftFactor * scalingFactor));
        const error = relativeError(await recovered.read(), await clean.read());
        assert.ok(error < 1e-6, `${branch} at ${m}: ${error}`);
      }
  });

  test("branches of equal |g| get opposite gradients at the velocity, of size |g|", async () => {
    const [clean, noise] = [state(1), state(2)];
    const { features } = batchOf(device, [0]);
    const cotangent = randn([1, side, side, channels / 4], { device, seed: 3 });
    const gradientAt = async (plan: BranchPlan) => {
      const v = leaf(state(4));
      const parts = { policy: { velocity: () => v }, decoder: plain };
      const { decoded } = recoverImage(parts, { clean, noise, features }, [plan], 3.5);
      backward(decoded, cotangent);
      return v.grad!.read();
    };
    // Exact in float32, so that g is the same to the bit.
    const [down, up] = [
      { from: 0.8125, to: 0.75, discountIndex: 5 },
      { from: 0.6875, to: 0.75, discountIndex: 5 },
    ];
    assert.equal(recoveryGain(down), -recoveryGain(up));
    const [denoise, inversion] = [await gradientAt(down), await gradientAt(up)];
    assert.deepEqual(
      denoise,
      inversion.map((x) => -x),
    );
    const expected = await packLatent(affine(cotangent, -0.25 / 0.3611, 0)).read();
    assert.ok(relativeError(denoise, expected) < 1e-6);
  });

  test("both branches recover at the same noise level; one index off where k ends at m", () => {
    const { window } = new Srpo(srpoHps, {
      policy: { velocity: unused },
      decoder: plain,
      reward: nobody,
      ...drawn,
    });
    const [low, high] = window.drawn;
    for (let m = low; m <= high; ++m) {
      const [denoise, inversion] = [window.denoise(m), window.inversion(m)];
      const off = m <= window.longestStep ? 1 : 0;
      assert.equal(denoise.to, window.sigmas[1000 - m]);
      assert.equal(inversion.to, window.sigmas[1000 - m - off]);
      assert.ok(denoise.from > denoise.to && inversion.from < inversion.to);
    }
  });

  for (const [together, terms] of [
    [false, ["denoise", "inversion"]],
    [true, ["denoise+inversion"]],
  ] as const)
    test(`the hinge pulls with -1/2 a branch and prompt while it is open: ${terms.join(", ")}`, async () => {
      const model = await tiny(device);
      const seen: Tensor[] = [];
      const score: RelativeReward["score"] = (image, _wanted, _unwanted, k) => {
        const far = tensor(
          k.map((_, i) => (i === 1 ? 0.8 : -i)),
          [k.length],
          { device },
        );
        seen.push(requireGrad(far));
        return far;
      };
      const reward = { textFeatures: (prompts: readonly string[]) => textStub(prompts), score };
      const textStub = (prompts: readonly string[]) => randn([prompts.length, 6], { device });
      const srpo = srpoOf(
        model,
        { margin: 0.7, branchesTogether: together },
        { reward, policy: model.policy },
      );
      const names = (await accumulate(srpo, [batchOf(device, [0, 1], { of: 4 })])).map(([n]) => n);
      assert.deepEqual(names, terms);
      // Two of the update's four prompts; the second one's first reward is past the margin.
      const grads = [];
      for (const r of seen) grads.push(...(await r.grad!.read()));
      assert.deepEqual(grads, together ? [-0.125, 0, -0.125, -0.125] : [-0.125, 0, -0.125, 0]);
      model.dispose();
    });

  test("shared noise is one for the update, per-prompt noise one each, in any grouping", async () => {
    for (const noise of ["shared", "per-prompt"] as const) {
      const { parts, ...model } = await tiny(device, { noise });
      const all = await parts.drawNoise(batchOf(device, [0, 1, 2, 3])).read();
      const n = tokens * channels;
      const row = (i: number) => all.slice(i * n, (i + 1) * n);
      const other = await parts.drawNoise(batchOf(device, [2], { of: 4 })).read();
      assert.deepEqual(other, row(2));
      assert.equal(relativeError(row(1), row(0)) === 0, noise === "shared");
      const next = await parts.drawNoise(batchOf(device, [0], { step: 2 })).read();
      assert.ok(relativeError(next, row(0)) > 1);
      model.dispose();
    }
  });

  test("the index is drawn for each prompt, whatever batch it is in", async () => {
    const { parts, ...model } = await tiny(device);
    const draw = (samples: number[], step = 1) =>
      samples.map((s) => parts.drawIndex(batchOf(device, samples, { step }), s, 5, 995));
    const all = draw([0, 1, 2, 3]);
    assert.deepEqual([...draw([0]), ...draw([1, 2]), ...draw([3])], all);
    assert.equal(new Set([...all, ...draw([0, 1, 2, 3], 2)]).size, 8);
    assert.ok(all.every((m) => m >= 5 && m <= 995));
    model.dispose();
  });

  test("the user's control words replace the lists, a step takes the next of each", async () => {
    const model = await tiny(device);
    const asked: (readonly string[])[] = [];
    const reward: RelativeReward = {
      textFeatures(prompts) {
        asked.push(prompts);
        return model.reward.textFeatures(prompts);
      },
      score: (...args) => model.reward.score(...args),
    };
    const controlWords = { positive: ["Film", "Sharp"], negative: ["Blurry", "Grey", "Toy"] };
    const srpo = srpoOf(model, { controlWords }, { reward });
    await accumulate(srpo, [batchOf(device, [1], { step: 2 })]);
    const [wanted, unwanted] = [`Film. ${captions[1]}`, `Toy. ${captions[1]}`];
    assert.deepEqual(asked, [[wanted], [unwanted], [unwanted], [wanted]]);
    model.dispose();
  });

  test("clean latents given: no rollout, and the same gradients as from a rollout that gave them", async () => {
    const model = await tiny(device);
    const calls: number[] = [];
    const policy = watched(model.policy, (sigmas, guidance) =>
      calls.push(sigmas.length * guidance),
    );
    const batch = batchOf(device, [0, 2]);
    const online = await gradientsOf(model, [batch], {}, { policy });
    assert.deepEqual(calls.splice(0), [2, 2, 7, 7], "two steps of guidance 1, two of 3.5");
    const srpo = srpoOf(model);
    const clean = await srpo.rollout(batch, model.parts.drawNoise(batch));
    const offline = await gradientsOf(model, [{ ...batch, clean }], {}, { policy });
    assert.deepEqual(calls, [7, 7]);
    assert.deepEqual(offline, online);
    model.dispose();
  });

  test("a term's tensors are freed before the next, the batch's with its scope", async () => {
    const model = await tiny(device);
    const srpo = srpoOf(model, tinyOptions);
    await memoryInUse(device);
    const inUse: number[] = [];
    for (const step of [1, 2, 3, 4, 5, 6]) {
      using scope = tensorScope();
      void scope;
      await accumulate(srpo, [batchOf(device, [0, 1], { step: 1 })]);
      if (step > 1) inUse.push(memoryOf(device).inUse);
      await synchronize(device);
    }
    assert.equal(new Set(inUse).size, 1, inUse.join(" "));
    model.dispose();
  });

  test("one branch alone is an ablation; both together sum up to the method", async () => {
    const model = await tiny(device);
    const batch = batchOf(device, [0, 1]);
    const [both, denoise, inversion] = [
      await gradientsOf(model, [batch]),
      await gradientsOf(model, [batch], { branches: "denoise" }),
      await gradientsOf(model, [batch], { branches: "inversion" }),
    ];
    const sum = denoise.map((x, i) => x + inversion[i]!);
    assert.ok(relativeError(both, sum) < 1e-6);
    model.dispose();
  });
});
