import assert from "node:assert/strict";
import { FluxPolicy } from "../../ts/methods/flux_policy.js";
import {
  Flux,
  timesThousand,
  type FluxInputs,
  type FluxOptions,
} from "../../ts/models/flux/model.js";
import type { Tensor } from "../../ts/tensor/tensor.js";
import { tensorScope } from "../../ts/tensor/scope.js";
import { forEachDevice, randn, relativeError } from "../support/index.js";
import { batchOf, channels, drawWeights, side, tiny, tokens } from "./tiny.js";

/** A transformer that keeps what it was called with. */
class Watched extends Flux {
  readonly calls: { inputs: FluxInputs; options: FluxOptions }[] = [];
  override forward(inputs: FluxInputs, options: FluxOptions = {}): Tensor {
    this.calls.push({ inputs, options });
    return super.forward(inputs, options);
  }
}

forEachDevice("FluxPolicy", (test, device) => {
  const grid = { height: side / 2, width: side / 2 };
  const latents = randn([2, tokens, channels], { device, seed: 1 });
  const sigmas = [0.9863013, 0.85];

  // What reaches the sinusoid (methods.md 0.3).
  for (const [timesteps, times, guidance] of [
    ["integer", [986, 850], [3500, 3500]],
    ["exact", [986.3013, 850], [3500, 3500]],
    ["reference", [984, 852], [3504, 3504]],
  ] as const)
    test(`${timesteps} timesteps reach the sinusoid as documented`, async () => {
      const { flux, ...model } = await tiny(device);
      const watched = new Watched(flux.config, { device });
      drawWeights(watched.parameters, 1);
      const policy = new FluxPolicy(watched, grid, { timesteps });
      const { features } = batchOf(device, [0, 1]);
      const v = policy.velocity(latents, sigmas, features, 3.5);
      assert.deepEqual(v.shape, [2, tokens, channels]);
      const [{ inputs, options }] = watched.calls as [(typeof watched.calls)[0]];
      const rounded = (values: readonly number[]) => timesThousand(values, options.roundTimestep);
      const near = (actual: number[], expected: readonly number[]) =>
        assert.ok(
          relativeError(actual, expected) < 1e-6,
          `${actual.join(" ")} for ${expected.join(" ")}`,
        );
      near(rounded(inputs.sigma), times);
      near(rounded(inputs.guidance!), guidance);
      policy.dispose();
      model.dispose();
    });

  test("each rounding is another velocity; a noise level a sample", async () => {
    const seen = [];
    for (const timesteps of ["integer", "exact", "reference"] as const) {
      const { policy, ...model } = await tiny(device, { timesteps });
      const { features } = batchOf(device, [0, 1]);
      seen.push(await policy.velocity(latents, sigmas, features, 3.5).read());
      model.dispose();
    }
    const [integer, exact, reference] = seen;
    assert.ok(relativeError(exact!, integer!) > 1e-6);
    assert.ok(relativeError(reference!, integer!) > 1e-5);
    const half = integer!.length / 2;
    // 0.85 is 850 either way: the second sample is the same.
    assert.ok(relativeError(exact!.slice(half), integer!.slice(half)) < 1e-6);
  });

  test("the rotary table is made once a text length, and no scope frees it", async () => {
    const { flux, ...model } = await tiny(device);
    const watched = new Watched(flux.config, { device });
    drawWeights(watched.parameters, 1);
    const policy = new FluxPolicy(watched, grid, { timesteps: "integer" });
    for (let call = 0; call < 2; ++call) {
      using scope = tensorScope();
      void scope;
      policy.velocity(latents, sigmas, batchOf(device, [0, 1]).features, 1);
    }
    const [first, second] = watched.calls.map(({ inputs }) => inputs.pe);
    assert.equal(second, first);
    assert.ok(!first!.cos.disposed);
    const { pooled } = batchOf(device, [0, 1]).features;
    policy.velocity(latents, sigmas, { txt: randn([2, 4, 10], { device }), pooled }, 1);
    assert.ok(first!.cos.disposed);
    policy.dispose();
    model.dispose();
  });
});
