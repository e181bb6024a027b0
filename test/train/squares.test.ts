// A run of one rank knows the norm of its gradients from the products that made them.
import assert from "node:assert/strict";
import { initMicro } from "../../ts/micro/init.js";
import { globalNorm } from "../../ts/ops/index.js";
import { trainConfig } from "../../ts/train/config.js";
import { Trainer } from "../../ts/train/trainer.js";
import { at } from "../support/cli.js";
import { forEachDevice } from "../support/index.js";

const runs = [
  ["f32", "float32"],
  ["bf16", "float32"],
  ["bf16", "bfloat16"],
] as const;

forEachDevice("squares of gradients in training", (test, device) => {
  // A few seconds an update where every thread of a kernel is one of ours.
  const [steps, sizes] =
    device === "cpu"
      ? [2, { batch: 4, microBatch: 2 }]
      : [1, { batch: 1, microBatch: 1, rolloutSteps: 2 }];
  for (const [precision, gradDtype] of device === "cpu" ? runs : runs.slice(1))
    test(`${precision}, gradients ${gradDtype}: an update reads a small part of them for the norm`, async () => {
      const model = at(`micro-${device}-${precision}-${gradDtype}`);
      await initMicro(model, { seed: 0n, dtype: "float32", texts: ["a red fox in the snow"] });
      const values = { preset: "micro", model, device, precision, gradDtype, ...sizes };
      const trainer = await Trainer.create(trainConfig([{ name: "test", values }]));
      const { gradients, squares } = trainer.setup.trained;
      assert.equal(trainer.sharding.shard.pieces[0]!.squares, squares);
      for (let step = 1; step <= steps; ++step) {
        const { gradNorm } = await trainer.update(step);
        const exact = await globalNorm(gradients!).item();
        assert.ok(Math.abs(gradNorm! / exact - 1) < 2e-7, `${gradNorm}, read ${exact}`);
        const unknown = squares!.unknown(gradients!.size).filter((_, i) => i % 2 === 1);
        const read = unknown.reduce((sum, count) => sum + count, 0);
        assert.ok(read < 0.01 * gradients!.size, `reads ${read} of ${gradients!.size}`);
      }
      trainer.dispose();
    });
});
