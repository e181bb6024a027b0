// A whole SRPO update on tiny models: what may be grouped, recomputed, rounded or threaded without
// changing it.
import assert from "node:assert/strict";
import { cast, globalNorm } from "../../ts/ops/index.js";
import { AdamW } from "../../ts/optim/adamw.js";
import { gradNorm } from "../../ts/optim/clip.js";
import { tensor, type Tensor } from "../../ts/tensor/tensor.js";
import { assertSameBitsForThreads, forEachDevice, relativeError } from "../support/index.js";
import { checkSlopes, dot } from "./slope.js";
import { accumulate, batchOf, gradientsOf, srpoOf, tiny, type Precision } from "./tiny.js";

const cosine = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));

forEachDevice("an SRPO update", (test, device) => {
  const all = [0, 1, 2, 3];

  test("both branches in one batch of two sum up as one after the other", async () => {
    const model = await tiny(device);
    const batches = [batchOf(device, all)];
    const apart = await gradientsOf(model, batches);
    const together = await gradientsOf(model, batches, { branchesTogether: true });
    const error = relativeError(together, apart);
    assert.ok(error < 1e-5, `${error}`);
    assert.ok(dot(apart, apart) > 0);
    model.dispose();
  });

  for (const noise of ["shared", "per-prompt"] as const)
    test(`one prompt at a time, two or all four make the same update, ${noise} noise`, async () => {
      const model = await tiny(device, { noise });
      const start = await model.flux.parameters.weights.read();
      const updated: Float32Array[] = [];
      const gradients: Float32Array[] = [];
      for (const groups of [
        [[0], [1], [2], [3]],
        [
          [0, 1],
          [2, 3],
        ],
        [[0], [1, 2, 3]],
        [all],
      ]) {
        const batches = groups.map((samples) => batchOf(device, samples, { of: 4 }));
        gradients.push(await gradientsOf(model, batches));
        model.flux.parameters.weights.copyFrom(tensor(start, undefined, { device }));
        const adamw = new AdamW(model.flux.parameters, { lr: 1e-3, eps: 1e-5 });
        adamw.step({ gradNorm: gradNorm(model.flux.parameters), maxGradNorm: 0.1 });
        const moved = await model.flux.parameters.weights.read();
        updated.push(moved.map((w, i) => w - start[i]!));
        model.flux.parameters.weights.copyFrom(tensor(start, undefined, { device }));
        adamw.dispose();
      }
      for (let i = 0; i < 3; ++i) {
        assert.ok(relativeError(gradients[i]!, gradients[3]!) < 1e-5);
        assert.ok(relativeError(updated[i]!, updated[3]!) < 1e-3);
      }
      model.dispose();
    });

  test("the gradient is the slope of the loss, along itself and along the steepest weights", async () => {
    const model = await tiny(device);
    const { weights } = model.flux.parameters;
    const batch = batchOf(device, [0]);
    const srpo = srpoOf(model);
    // The rollout is no part of the loss: its end is given.
    const clean = await srpo.rollout(batch, model.parts.drawNoise(batch));
    const offline = [{ ...batch, clean }];
    const gradient = await gradientsOf(model, offline);
    await checkSlopes(weights, gradient, async () => {
      const losses = await accumulate(srpo, offline);
      return losses.reduce((sum, [, loss]) => sum + loss, 0);
    });
    model.dispose();
  });

  test("recomputing blocks, or the VAE's, changes nothing", async () => {
    const models = [
      await tiny(device),
      await tiny(device, { recompute: true }),
      await tiny(device, { recomputeVae: true }),
      await tiny(device, { recompute: true, recomputeVae: true }),
    ];
    const all = [];
    for (const model of models) {
      all.push(await gradientsOf(model, [batchOf(device, [0, 1])]));
      model.dispose();
    }
    for (const other of all.slice(1)) assert.ok(relativeError(other, all[0]!) < 1e-6);
  });

  test("bfloat16 stays close to float32: the loss, and where the update goes", async () => {
    const update = async (dtype: Precision) => {
      const model = await tiny(device, { dtype });
      const losses = await accumulate(srpoOf(model), [batchOf(device, all)]);
      const gradient = await model.flux.parameters.gradients!.read();
      // Offsets differ: a parameter starts on a cache line.
      const flat = model.flux.parameters.ranges.flatMap(({ offset, size }) =>
        Array.from(gradient.subarray(offset, offset + size)),
      );
      model.dispose();
      return { losses: losses.map(([, loss]) => loss), flat };
    };
    const [full, half] = [await update("float32"), await update("bfloat16")];
    for (const [i, loss] of full.losses.entries())
      assert.ok(Math.abs(half.losses[i]! / loss - 1) < 5e-2, `${half.losses[i]} for ${loss}`);
    const direction = cosine(half.flat, full.flat);
    assert.ok(direction > 0.95, `cosine ${direction}`);
  });

  test("20 updates at 5e-6 move bfloat16 weights' masters as AdamW moves float32 weights", async () => {
    const model = await tiny(device, { dtype: "bfloat16" });
    const set = model.flux.parameters;
    const start = await set.weights.read();
    const twin = {
      weights: tensor(start, undefined, { device }),
      gradients: tensor(new Float32Array(start.length), undefined, { device }),
    };
    const [ours, plain] = [new AdamW(set), new AdamW(twin)];
    const srpo = srpoOf(model, { rolloutSteps: 1 });
    for (let step = 1; step <= 20; ++step) {
      set.zeroGradients();
      await accumulate(srpo, [batchOf(device, [step % 4], { step })]);
      twin.gradients.copyFrom(set.gradients!);
      ours.step({ gradNorm: gradNorm(set), maxGradNorm: 0.1 });
      plain.step({ gradNorm: globalNorm(twin.gradients), maxGradNorm: 0.1 });
    }
    const [master, expected] = [await ours.master().read(), await twin.weights.read()];
    assert.deepEqual(master, expected);
    const moved = (values: Float32Array) => values.filter((w, i) => w !== start[i]).length;
    // 20 steps of 5e-6 are a rounding of a weight of 0.02: most bfloat16 weights stand still yet.
    const weights = await set.weights.read();
    assert.ok(moved(weights) < 0.5 * moved(master), `${moved(weights)} of ${moved(master)}`);
    // The weight is the master rounded; half-way between two it is the one further from zero, not the even one.
    const nearest = await cast(tensor(master, undefined, { device }), "bfloat16").read();
    const bits = new Uint32Array(master.buffer, master.byteOffset, master.length);
    const wrong = weights.findIndex((w, i) => w !== nearest[i] && (bits[i]! & 0xffff) !== 0x8000);
    assert.equal(wrong, -1);
    for (const adamw of [ours, plain]) adamw.dispose();
    model.dispose();
  });

  test("an update's bits do not depend on the number of threads", async () => {
    const model = await tiny(device);
    const start = await model.flux.parameters.weights.read();
    await assertSameBitsForThreads(async (): Promise<Tensor[]> => {
      const { weights, gradients } = model.flux.parameters;
      weights.copyFrom(tensor(start, undefined, { device }));
      await gradientsOf(model, [batchOf(device, [0, 1], { of: 4 })]);
      const adamw = new AdamW(model.flux.parameters, { lr: 1e-3 });
      adamw.step({ gradNorm: gradNorm(model.flux.parameters), maxGradNorm: 0.1 });
      return [weights, gradients!, adamw.m, adamw.v];
    });
    assert.ok(relativeError(await model.flux.parameters.weights.read(), start) > 0);
    model.dispose();
  });

  test("the same weights and the same seed give the same bits again", async () => {
    const model = await tiny(device);
    const batches = () => [batchOf(device, [0, 1], { of: 2 })];
    const first = await gradientsOf(model, batches());
    assert.deepEqual(await gradientsOf(model, batches()), first);
    model.dispose();
  });
});
