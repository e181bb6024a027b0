// Two updates of the official training function's optimizer, from its own gradients: clip to
// max_grad_norm, torch.optim.AdamW; the second with the gradients times 0.3.
import assert from "node:assert/strict";
import path from "node:path";
import { SafetensorsFile } from "../../ts/checkpoint/safetensors.js";
import { packageRoot } from "../../ts/native/load.js";
import { globalNorm } from "../../ts/ops/index.js";
import { AdamW } from "../../ts/optim/adamw.js";
import { tensor } from "../../ts/tensor/tensor.js";
import { forEachDevice, relativeError } from "../support/index.js";

const recipe = { lr: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0.01 };
const maxGradNorm = 0.03;

function open(part: string): SafetensorsFile {
  return SafetensorsFile.open(
    path.join(packageRoot, `test/golden/srpo-step-tiny${part}.safetensors`),
  );
}

/** Tensors of a fixture, end to end. */
async function flat(file: SafetensorsFile, keys: readonly string[]): Promise<Float32Array> {
  const parts = [];
  for (const key of keys) parts.push(await file.read(key).read());
  const all = new Float32Array(parts.reduce((size, part) => size + part.length, 0));
  let end = 0;
  for (const part of parts) {
    all.set(part, end);
    end += part.length;
  }
  return all;
}

forEachDevice("AdamW against the golden step", (test, device) => {
  test("two updates of every transformer weight", async () => {
    using weights = open(".weights");
    using grads = open(".grads");
    using updated = open(".updated");
    using step = open("");
    const names = [...grads.names()].map((key) => key.replace("grad.w.", ""));
    const start = await flat(
      weights,
      names.map((name) => `w.transformer.${name}`),
    );
    const parameters = {
      weights: tensor(start, [start.length], { device }),
      gradients: tensor(
        await flat(
          grads,
          names.map((name) => `grad.w.${name}`),
        ),
        undefined,
        {
          device,
        },
      ),
    };
    const adamw = new AdamW(parameters, recipe);
    const check = async (which: number) => {
      const exact = await flat(
        updated,
        names.map((name) => `out.updated${which}.transformer.${name}`),
      );
      const moved = (await parameters.weights.read()).map((w, i) => w - start[i]!);
      const error = relativeError(
        moved,
        exact.map((w, i) => w - start[i]!),
      );
      assert.ok(error < 1e-3, `update ${which}: relative error ${error}`);
    };
    const gradNorm = globalNorm(parameters.gradients);
    const [exactNorm] = await step.read("out.grad_norm").read();
    assert.ok(Math.abs((await gradNorm.item()) / exactNorm! - 1) < 1e-5);
    adamw.step({ gradNorm, maxGradNorm });
    await check(1);
    const smaller = (await parameters.gradients.read()).map((g) => 0.3 * g);
    parameters.gradients.copyFrom(tensor(smaller, undefined, { device }));
    adamw.step({ gradNorm: globalNorm(parameters.gradients), maxGradNorm });
    await check(2);
  });
});
