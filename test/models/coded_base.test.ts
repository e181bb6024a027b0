// A frozen FLUX whose blocks are held in 8 bits: the same numbers as a whole model of those values, and a LoRA's
// gradients beneath which it lies.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { backward } from "../../ts/autograd/backward.js";
import { noGrad } from "../../ts/autograd/tape.js";
import { writeSafetensors } from "../../ts/checkpoint/write.js";
import { fluxConfig, fluxConfigJson, fluxDev } from "../../ts/models/flux/config.js";
import { Flux } from "../../ts/models/flux/model.js";
import { fluxNames } from "../../ts/models/flux/names.js";
import { fluxParameters, isBlockMatrix } from "../../ts/models/flux/parameters.js";
import { fluxRope } from "../../ts/models/flux/positions.js";
import { loraParts } from "../../ts/models/lora/layers.js";
import { openFlux } from "../../ts/models/open.js";
import { initializeParameters } from "../../ts/nn/init.js";
import { Lora } from "../../ts/nn/lora.js";
import { sizeOf } from "../../ts/nn/parameter.js";
import { tensorsToWrite } from "../../ts/nn/save.js";
import { mean, mul } from "../../ts/ops/index.js";
import type { Tensor } from "../../ts/tensor/tensor.js";
import { forEachDevice, memoryInUse, randn, relativeError } from "../support/index.js";
import { tinyFlux } from "../support/tiny_flux.js";

const config = fluxConfig(tinyFlux);
const root = mkdtempSync(path.join(os.tmpdir(), "srpo-coded-"));
process.once("exit", () => rmSync(root, { recursive: true, force: true }));

forEachDevice("a frozen base in 8 bits", (test, device) => {
  const opened = async (naming: "bfl" | "diffusers", coded: boolean) => {
    const file = path.join(root, `${device}-${naming}.safetensors`);
    const flux = new Flux(config);
    initializeParameters(flux.parameters, 7n);
    const metadata = { "config.transformer": JSON.stringify(fluxConfigJson(config)) };
    await writeSafetensors(
      file,
      tensorsToWrite(flux.parameters, fluxNames(config, naming)),
      metadata,
    );
    flux.dispose();
    return openFlux(file, { device, ...(coded && { coded: isBlockMatrix }) });
  };
  const velocity = (flux: Flux, recompute = false): Tensor => {
    const ids = [
      ...Array.from({ length: 3 }, () => [0, 0, 0]),
      ...[0, 1, 2, 3].map((i) => [0, 0, i]),
    ];
    const input = (shape: number[], seed: number) => randn(shape, { seed, device });
    return flux.forward(
      {
        img: input([1, 4, 12], 1),
        txt: input([1, 3, 10], 2),
        pooled: input([1, 7], 3),
        sigma: [0.6],
        guidance: [3.5],
        pe: fluxRope(config, ids, { device }),
      },
      { recompute },
    );
  };

  for (const naming of ["bfl", "diffusers"] as const)
    test(`${naming}: to the bit a whole model of the same values`, async () => {
      const coded = await opened(naming, true);
      const whole = await opened(naming, false);
      const exact = await velocity(whole).read();
      for (const { parameter } of whole.parameters.ranges.filter((r) => isBlockMatrix(r.parameter)))
        whole.parameters.get(parameter.name).copyFrom(coded.parameters.get(parameter.name));
      const found = await velocity(coded).read();
      assert.deepEqual(found, await velocity(whole).read());
      const error = relativeError(found, exact);
      assert.ok(error > 1e-4 && error < 0.05, `${error}`);
      assert.equal(coded.parameters.count, whole.parameters.count);
      coded.dispose();
      whole.dispose();
    });

  test("a LoRA on it has the gradients that it has on the whole model, blocks run again or not", async () => {
    const coded = await opened("bfl", true);
    const whole = await opened("bfl", false);
    for (const { parameter } of whole.parameters.ranges.filter((r) => isBlockMatrix(r.parameter)))
      whole.parameters.get(parameter.name).copyFrom(coded.parameters.get(parameter.name));
    const gradients = async (flux: Flux, recompute: boolean) => {
      const lora = new Lora(loraParts(config, { rank: 2 }), { device, trainable: true });
      for (const [i, { parameter }] of lora.parameters.ranges.entries())
        lora.parameters
          .get(parameter.name)
          .copyFrom(randn(parameter.shape, { seed: i, scale: 0.2, device }));
      flux.parameters.adapter = lora;
      const v = velocity(flux, recompute);
      backward(mean(mul(v, v)));
      const found = await lora.parameters.gradients!.read();
      flux.parameters.adapter = undefined;
      lora.dispose();
      return found;
    };
    const expected = await gradients(whole, false);
    assert.ok(expected.some((g) => g !== 0));
    for (const recompute of [false, true])
      assert.deepEqual(await gradients(coded, recompute), expected);
    coded.dispose();
    whole.dispose();
  });

  test("a matrix is whole only while it is used", async () => {
    const coded = await opened("bfl", true);
    const matrices = coded.parameters.count - coded.parameters.weights.size;
    const before = await memoryInUse(device);
    const held: Tensor = noGrad(() => velocity(coded));
    // What stands between the blocks is in the test's scope still, a tenth of the matrices.
    assert.ok((await memoryInUse(device)) < before + (4 * matrices) / 4);
    held.dispose();
    coded.dispose();
  });

  test("what needs whole weights says so", async () => {
    const coded = await opened("bfl", true);
    const [name] = ["double_blocks.0.img_mlp.0.weight"];
    assert.throws(() => coded.parameters.range(name), {
      code: "ERR_CONFIG",
      message: `parameters: ${name}: expected whole weights, got a frozen model's 8 bits`,
    });
    coded.dispose();
  });

  test("of FLUX.1-dev it is nearly everything", () => {
    const elements = (all: ReturnType<typeof fluxParameters>) =>
      all.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
    const all = fluxParameters(fluxDev);
    assert.ok(elements(all.filter(isBlockMatrix)) / elements(all) > 0.99);
  });
});
