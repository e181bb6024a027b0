import assert from "node:assert/strict";
import { cast } from "../../ts/ops/index.js";
import { AdamW } from "../../ts/optim/adamw.js";
import { Ema } from "../../ts/optim/ema.js";
import { zeros } from "../../ts/tensor/tensor.js";
import { assertRelative, forEachDevice, randn } from "../support/index.js";

const n = 257;

forEachDevice("Ema", (test, device) => {
  for (const dtype of ["float32", "bfloat16"] as const)
    test(`${dtype}: starts at the weights and follows the masters`, async () => {
      const parameters = {
        weights: cast(randn([n], { device }), dtype),
        gradients: randn([n], { device, seed: 1 }),
      };
      const adamw = new AdamW(parameters, { lr: 1e-4 });
      const ema = new Ema(parameters, { decay: 0.9, remainder: adamw.remainder });
      let exact = Float64Array.from(await parameters.weights.read());
      await assertRelative(ema.weights, exact, 0);
      for (let step = 0; step < 5; ++step) {
        adamw.step();
        ema.update();
        const master = await adamw.master().read();
        exact = exact.map((e, i) => 0.9 * e + 0.1 * master[i]!);
      }
      await assertRelative(ema.weights, exact, 2e-7);
      ema.dispose();
    });

  test("apply puts the averages in place, and the weights back, to the bit", async () => {
    const parameters = { weights: cast(randn([n], { device }), "bfloat16"), gradients: undefined };
    const ema = new Ema(parameters, { decay: 0.5 });
    parameters.weights.copyFrom(cast(randn([n], { device, seed: 8 }), "bfloat16"));
    ema.update();
    const before = await parameters.weights.read();
    {
      using applied = ema.apply();
      void applied;
      const average = cast(ema.weights, "bfloat16");
      assert.deepEqual(await parameters.weights.read(), await average.read());
    }
    assert.deepEqual(await parameters.weights.read(), before);
  });

  test("its state comes back", async () => {
    const parameters = { weights: randn([n], { device }), gradients: undefined };
    const [a, b] = [new Ema(parameters, { decay: 0.9 }), new Ema(parameters, { decay: 0.9 })];
    parameters.weights.copyFrom(zeros([n], { device }));
    a.update();
    b.loadState({ ema: a.state()["ema"]! });
    assert.deepEqual(await b.weights.read(), await a.weights.read());
  });
});
