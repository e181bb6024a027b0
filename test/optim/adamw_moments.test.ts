// How far training with moments of fewer bits strays from float32 ones: a noisy quadratic whose curvatures
// differ by 10^5, 1500 updates.
import assert from "node:assert/strict";
import { add, mul } from "../../ts/ops/index.js";
import { AdamW, type MomentForm } from "../../ts/optim/adamw.js";
import { tensorScope } from "../../ts/tensor/scope.js";
import { tensor } from "../../ts/tensor/tensor.js";
import { forEachDevice, randn } from "../support/index.js";

const n = 4096;
const updates = 1500;

forEachDevice("AdamW's moments", (test, device) => {
  // Emulated it would take minutes, and the bits are the cpu's: test/ops/update/adamw_moments.test.ts.
  if (device !== "cpu") return;

  /** Gradients are h (w - 0 + noise); returns the weights' way and the loss that is left, of 1. */
  async function train(moments: MomentForm, noisy: boolean) {
    const curvature = Float32Array.from({ length: n }, (_, i) => {
      const within = ((i * 2654435761) % 4096) / 4096;
      return 10 ** (-3 * within - (2 * Math.floor(i / 256)) / (n / 256));
    });
    const h = tensor(curvature, [n], { device });
    const start = randn([n], { device, seed: 5 });
    const weights = randn([n], { device, seed: 5 });
    const gradients = randn([n], { device });
    const adamw = new AdamW({ weights, gradients }, { moments, eps: 1e-12, weightDecay: 0 });
    const loss = async () => {
      const w = await weights.read();
      return w.reduce((sum, x, i) => sum + curvature[i]! * x * x, 0);
    };
    const before = await loss();
    for (let step = 1; step <= updates; ++step) {
      using scope = tensorScope();
      void scope;
      const noise = randn([n], { device, seed: 100 + step, scale: 3 });
      gradients.copyFrom(mul(h, noisy ? add(weights, noise) : weights));
      adamw.step({ lr: 3e-3 * (1 - (0.9 * step) / updates) });
      if (step % 50 === 0) await adamw.skipped.item();
    }
    const [from, to] = [await start.read(), await weights.read()];
    return { way: to.map((w, i) => w - from[i]!), loss: (await loss()) / before };
  }

  for (const noisy of [false, true])
    test(`${noisy ? "noisy" : "exact"} gradients`, async () => {
      const exact = await train("float32", noisy);
      const length = (v: Float32Array) => Math.hypot(...v);
      for (const [form, most] of [
        ["bfloat16", 0.01],
        ["8bit", 0.05],
      ] as const) {
        const { way, loss } = await train(form, noisy);
        const stray = length(way.map((x, i) => x - exact.way[i]!)) / length(exact.way);
        assert.ok(stray < most, `${form}: strays ${stray} of the way`);
        assert.ok(loss < 1.05 * exact.loss, `${form}: loss ${loss}, exactly ${exact.loss}`);
      }
    });
});
