import assert from "node:assert/strict";
import { affine, combine } from "../../ts/ops/index.js";
import { denoise } from "../../ts/sampler/denoise.js";
import { shiftedSigmas } from "../../ts/sampler/schedule.js";
import { memoryOf, synchronize } from "../../ts/tensor/device.js";
import { tensorScope } from "../../ts/tensor/scope.js";
import { tensor, type Tensor } from "../../ts/tensor/tensor.js";
import { forEachDevice, leaf, memoryInUse, randn, relativeError } from "../support/index.js";

forEachDevice("denoise", (test, device) => {
  const noise = () => randn([2, 5, 12], { device, seed: 1 });

  test("Euler steps of a linear field are the float64 ones", async () => {
    const sigmas = shiftedSigmas(25, 3);
    const target = randn([2, 5, 12], { device, seed: 2 });
    // v = (x - target) / 2 + sigma, which the steps neither blow up nor kill.
    const velocity = (x: Tensor, sigma: number) =>
      affine(combine(x, target, { x: 0.5, y: -0.5 }), 1, sigma);
    const x = await denoise(velocity, noise(), sigmas);
    const exact = Float64Array.from(await noise().read());
    const to = await target.read();
    for (let i = 0; i + 1 < sigmas.length; ++i)
      exact.forEach((value, j) => {
        const v = 0.5 * (value - to[j]!) + sigmas[i]!;
        exact[j] = value + (sigmas[i + 1]! - sigmas[i]!) * v;
      });
    const error = relativeError(await x.read(), exact);
    assert.ok(error < 1e-6, `${error}`);
  });

  test("the exact velocity, noise minus clean, ends at the clean latents in any number of steps", async () => {
    const clean = randn([2, 5, 12], { device, seed: 3 });
    const start = noise();
    const field = () => combine(start, clean, { x: 1, y: -1 });
    for (const steps of [1, 2, 7, 50]) {
      const x = await denoise(field, start, shiftedSigmas(steps, 3));
      assert.ok(relativeError(await x.read(), await clean.read()) < 2e-6);
    }
    assert.ok(!start.disposed);
  });

  test("a bfloat16 model's velocity is summed up in float32", async () => {
    const half = (x: Tensor) => combine(x, x, { x: 1, y: 0, dtype: "bfloat16" });
    const x = await denoise(half, noise(), shiftedSigmas(3, 3));
    assert.equal(x.dtype, "float32");
  });

  test("nothing is recorded, and memory does not grow with the steps", async () => {
    const weight = leaf(tensor([0.5], [1], { device }));
    await memoryInUse(device);
    const used: number[] = [];
    for (const steps of [3, 3, 60]) {
      using scope = tensorScope();
      void scope;
      const from = leaf(noise());
      const before = memoryOf(device).inUse;
      const seen: number[] = [];
      const x = await denoise(
        (state) => {
          const v = affine(state, 0.1, 0);
          assert.ok(!v.requiresGrad);
          seen.push(memoryOf(device).inUse - before);
          return v;
        },
        from,
        shiftedSigmas(steps, 3),
      );
      assert.ok(!x.requiresGrad && x.producer === undefined);
      await synchronize(device);
      used.push(Math.max(...seen), memoryOf(device).inUse - before);
    }
    assert.deepEqual(used.slice(2, 4), used.slice(4));
    assert.equal(weight.grad, undefined);
  });

  test("at most two calls are in flight", async () => {
    let [called, done, most] = [0, 0, 0];
    const velocity = (x: Tensor) => {
      called += 1;
      most = Math.max(most, called - done);
      const v = affine(x, 0.1, 0);
      void synchronize(device).then(() => (done += 1));
      return v;
    };
    await denoise(velocity, noise(), shiftedSigmas(20, 3));
    assert.equal(called, 20);
    // Two, and one that has ended without the word of it having come.
    assert.ok(most <= 3, `${most} calls`);
  });

  test("steps are told in order, each with its latents", async () => {
    const told: number[] = [];
    const kept: Promise<Float32Array>[] = [];
    const x = await denoise((state) => affine(state, 0.3, 0), noise(), shiftedSigmas(4, 3), {
      onStep: (done, latents) => {
        told.push(done);
        kept.push(latents.read());
      },
    });
    assert.deepEqual(told, [1, 2, 3, 4]);
    assert.deepEqual(await kept[3], await x.read());
  });
});
