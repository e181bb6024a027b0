// What an update costs stands in the metrics: pictures through the transformer, forwards and backwards.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { test } from "uvu";
import { initMicro } from "../../ts/micro/init.js";
import { trainConfig } from "../../ts/train/config.js";
import { readMetrics } from "../../ts/train/metrics.js";
import { RunFolder } from "../../ts/train/run_folder.js";
import { Trainer } from "../../ts/train/trainer.js";

const root = mkdtempSync(path.join(os.tmpdir(), "srpo-cost-"));
test.after(() => {
  rmSync(root, { recursive: true, force: true });
});
const model = path.join(root, "micro");
await initMicro(model, { seed: 1n, dtype: "float32", texts: ["a red fox", "two owls"] });

// 3 prompts, a rollout of 4 steps each; SRPO differentiates two calls, Direct-Align one.
for (const [method, forwards, backwards] of [
  ["srpo", 3 * (4 + 2), 3 * 2],
  ["direct-align", 3 * (4 + 1), 3],
] as const)
  for (const recompute of [true, false])
    test(`${method}${recompute ? ", recomputed" : ""}: ${forwards} forwards, ${backwards} backwards`, async () => {
      const sizes = { height: 16, width: 16, batch: 3, microBatch: 2, rolloutSteps: 4 };
      const values = {
        preset: "micro",
        method,
        model,
        steps: 1,
        sampleEvery: 0,
        recompute,
        ...sizes,
      };
      const config = trainConfig([{ name: "test", values }]);
      const run = new RunFolder(path.join(root, `${method}-${recompute}`));
      const trainer = await Trainer.create(config);
      await run.create(config);
      await trainer.run(run, { signal: new AbortController().signal });
      trainer.dispose();
      const [row] = readMetrics(run.metrics) as Record<string, number>[];
      assert.deepEqual([row!["forwards"], row!["backwards"]], [forwards, backwards]);
    });

test.run();
