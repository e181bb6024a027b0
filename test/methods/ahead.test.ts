// What a rollout makes once for all of its steps changes nothing but the number of products.
import assert from "node:assert/strict";
import { noGrad } from "../../ts/autograd/tape.js";
import { policySteps, velocityOf } from "../../ts/methods/rollout.js";
import { denoise } from "../../ts/sampler/denoise.js";
import { shiftedSigmas } from "../../ts/sampler/schedule.js";
import { tidy } from "../../ts/tensor/scope.js";
import type { Tensor } from "../../ts/tensor/tensor.js";
import { forEachDevice, memoryInUse, randn, relativeError } from "../support/index.js";
import { batchOf, channels, tiny, tokens } from "./tiny.js";

forEachDevice("a rollout's modulations, made ahead", (test, device) => {
  const levels = [0.9863013, 0.85, 0.5, 0.25];
  const latents = randn([2, tokens, channels], { device, seed: 1 });

  for (const timesteps of ["integer", "reference"] as const)
    test(`the same velocities to rounding, ${timesteps} timesteps`, async () => {
      const { policy, ...model } = await tiny(device, { timesteps });
      const { features } = batchOf(device, [0, 1]);
      const velocities = () =>
        Promise.all(
          levels.map((sigma) => {
            const all = [sigma, sigma];
            return tidy(() => noGrad(() => policy.velocity(latents, all, features, 3.5))).read();
          }),
        );
      const plain = await velocities();
      {
        using ahead = policy.ahead(levels, features, 3.5);
        void ahead;
        const known = await velocities();
        known.forEach((v, i) => {
          const error = relativeError(v, plain[i]!);
          assert.ok(error < 1e-5, `level ${levels[i]}: ${error}`);
        });
      }
      assert.deepEqual(await velocities(), plain);
      policy.dispose();
      model.dispose();
    });

  test("what is asked for beyond it is computed as ever", async () => {
    const { policy, ...model } = await tiny(device);
    const { features } = batchOf(device, [0, 1]);
    const other = batchOf(device, [2, 3]).features;
    const asked: (() => Tensor)[] = [
      () => noGrad(() => policy.velocity(latents, [0.7, 0.7], features, 3.5)),
      () => noGrad(() => policy.velocity(latents, [0.85, 0.5], features, 3.5)),
      () => noGrad(() => policy.velocity(latents, [0.85, 0.85], features, 1)),
      () => noGrad(() => policy.velocity(latents, [0.85, 0.85], other, 3.5)),
      () => policy.velocity(latents, [0.85, 0.85], features, 3.5),
    ];
    const read = () => Promise.all(asked.map((ask) => ask().read()));
    const plain = await read();
    using ahead = policy.ahead(levels, features, 3.5);
    void ahead;
    assert.deepEqual(await read(), plain);
    policy.dispose();
    model.dispose();
  });

  test("a rollout of more rows than one product takes, and its memory is freed", async () => {
    const { policy, ...model } = await tiny(device);
    const batch = batchOf(device, [0, 1]);
    const sigmas = shiftedSigmas(40, 3); // 80 rows, 64 at once
    const plain = await denoise(velocityOf(policy, batch, 3.5), latents, sigmas);
    const before = await memoryInUse(device);
    const known = await policySteps(policy, batch, latents, { sigmas, guidance: 3.5 });
    const error = relativeError(await known.read(), await plain.read());
    assert.ok(error < 1e-5, `${error}`);
    const kept = (await memoryInUse(device)) - before;
    assert.ok(kept <= 4096, `${kept} bytes kept`);
    policy.dispose();
    model.dispose();
  });
});
