// Training with weights, moments and gradients of fewer bits ends where the exact layout ends, and stopped and
// resumed it goes on to the bit.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { backward } from "../../ts/autograd/backward.js";
import { fluxConfig } from "../../ts/models/flux/config.js";
import { Flux } from "../../ts/models/flux/model.js";
import { fluxIds, fluxRope } from "../../ts/models/flux/positions.js";
import { cast, mse } from "../../ts/ops/index.js";
import { AdamW, type AdamWOptions } from "../../ts/optim/adamw.js";
import { gradNorm } from "../../ts/optim/clip.js";
import type { Device } from "../../ts/tensor/device.js";
import { tensorScope } from "../../ts/tensor/scope.js";
import type { Tensor } from "../../ts/tensor/tensor.js";
import {
  assertSameRun,
  at,
  checkpoint,
  fails,
  metricsOf,
  microFolder,
  succeed,
  training,
} from "../support/cli.js";
import { forEachDevice, randn } from "../support/index.js";
import { tinyFlux } from "../support/tiny_flux.js";
import { drawWeights } from "../methods/tiny.js";

interface Layout extends Pick<AdamWOptions, "rounding" | "moments"> {
  gradDtype: "float32" | "bfloat16";
}
const exact: Layout = { rounding: "remainder", moments: "float32", gradDtype: "float32" };
const smallest: Layout = { rounding: "stochastic", moments: "8bit", gradDtype: "bfloat16" };

/** Losses of a transformer that learns four samples by heart, in two passes an update. */
async function losses(device: Device, layout: Layout, updates: number): Promise<number[]> {
  const { gradDtype, ...options } = layout;
  const config = fluxConfig(tinyFlux);
  const model = new Flux(config, { device, dtype: "bfloat16", trainable: true, gradDtype });
  drawWeights(model.parameters, 1);
  const adamw = new AdamW(model.parameters, { ...options, lr: 1e-3, seed: 3n });
  const grid = { height: 2, width: 3 };
  const rounded = (x: Tensor) => cast(x, "bfloat16");
  const draw = (shape: number[], seed: number) => randn(shape, { device, seed });
  const found: number[] = [];
  for (let update = 1; update <= updates; ++update) {
    using scope = tensorScope();
    void scope;
    model.parameters.zeroGradients();
    let sum = 0;
    for (const half of [0, 1]) {
      const velocity = model.forward({
        img: rounded(draw([2, 6, 12], 10 + half)),
        txt: rounded(draw([2, 3, 10], 20 + half)),
        pooled: rounded(draw([2, 7], 30 + half)),
        sigma: [0.3, 0.8],
        guidance: [3.5, 1],
        pe: fluxRope(config, fluxIds({ textLength: 3, ...grid }), { device }),
      });
      const loss = mse(cast(velocity, "float32"), draw([2, 6, 12], 40 + half));
      backward(loss);
      sum += (await loss.item()) / 2;
    }
    adamw.step({ gradNorm: gradNorm(model.parameters), maxGradNorm: 1 });
    found.push(sum);
  }
  adamw.dispose();
  model.dispose();
  return found;
}

forEachDevice("layouts", (test, device) => {
  let way: Promise<number[]> | undefined;
  const layouts: Layout[] = [
    { ...exact, moments: "bfloat16" },
    { ...exact, moments: "8bit" },
    { ...exact, rounding: "stochastic" },
    { ...exact, gradDtype: "bfloat16" },
    { rounding: "remainder", moments: "bfloat16", gradDtype: "bfloat16" },
    smallest,
  ];
  if (device === "cpu")
    for (const layout of layouts)
      test(`${Object.values(layout).join(", ")}: the same way down, a loss of 2.9 to 0.15`, async () => {
        const was = await (way ??= losses(device, exact, 40));
        const is = await losses(device, layout, 40);
        assert.ok(was.at(-1)! < 0.07 * was[0]!, "it learns");
        for (const [i, loss] of is.entries())
          assert.ok(Math.abs(loss / was[i]! - 1) < 0.05, `update ${i + 1}: ${loss} for ${was[i]!}`);
      });

  test("the smallest layout is the cpu's on every device, as far as its products go", async () => {
    const [cpu, here] = [await losses("cpu", smallest, 6), await losses(device, smallest, 6)];
    for (const [i, loss] of here.entries())
      assert.ok(Math.abs(loss / cpu[i]! - 1) < 2e-2, `update ${i + 1}: ${loss}, cpu ${cpu[i]!}`);
  });

  let made: Promise<string> | undefined;
  if (device === "cpu")
    for (const [name, ...flags] of [
      ["bf16", "--moments", "bfloat16", "--grad-dtype", "bfloat16"],
      ["8bit", "--moments", "8bit", "--grad-dtype", "bfloat16", "--rounding", "stochastic"],
      ["factors", "--modulation-gradients", "factors", "--moments", "8bit", "--ema", "0.9"],
      ["lora", "--moments", "8bit", "--lora-rank", "2"],
    ] as const)
      test(`train, ${name}: 2 updates are 1 and, resumed, 1 more`, async () => {
        await (made ??= microFolder());
        const options = ["--sample-every", "0", ...flags];
        const [whole, halves] = [`whole-${name}`, `halves-${name}`];
        await succeed(...training(whole, "--steps", "2", ...options));
        await succeed(...training(halves, "--steps", "1", ...options));
        await succeed("train", "--resume", at(halves), "--steps", "2");
        assert.deepEqual(metricsOf(halves), metricsOf(whole));
        if (name === "lora") return; // its weights lie in another file: test/train/lora.test.ts
        assertSameRun(whole, halves, 2);
        assert.ok(!checkpoint(halves, 1).weights.equals(checkpoint(halves, 2).weights));
      });

  if (device === "cpu")
    test("what does not go together is refused before anything is written", async () => {
      await (made ??= microFolder());
      const refused = (words: RegExp, ...flags: string[]) =>
        fails(2, words, training("no", ...flags));
      await refused(
        /gradDtype: expected float32 with precision f32, got bfloat16/,
        "--precision",
        "f32",
        "--grad-dtype",
        "bfloat16",
      );
      await refused(
        /modulationGradients: expected full with a LoRA, got factors/,
        "--lora-rank",
        "2",
        "--modulation-gradients",
        "factors",
      );
      await refused(/moments: expected one of float32, bfloat16, 8bit/, "--moments", "8");
      assert.ok(!existsSync(at("no")));
    });
});
