// Updates do not grow memory: neither the process's nor the pool's.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { suite } from "uvu";
import { initMicro } from "../../ts/micro/init.js";
import { memoryOf } from "../../ts/tensor/device.js";
import { trainConfig } from "../../ts/train/config.js";
import { Trainer } from "../../ts/train/trainer.js";
import { collectGarbage } from "../support/index.js";

const updates = 300;
const warm = 60;
const test = suite("memory");

/** The middle one: a garbage collector's peaks say nothing. */
function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}

test(`${updates} updates after the first ${warm} leave memory as it was`, async () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), "srpo-memory-"));
  try {
    const model = path.join(folder, "micro");
    const texts = ["a red fox in the snow", "an old boat on a quiet lake", "rain on a window"];
    await initMicro(model, { seed: 0n, dtype: "float32", texts });
    const small = { height: 16, width: 16, batch: 1, microBatch: 1, rolloutSteps: 1, ema: 0.9 };
    const config = trainConfig([{ name: "test", values: { model, preset: "micro", ...small } }]);
    const trainer = await Trainer.create(config);
    const outside: number[] = [];
    const heap: number[] = [];
    const inUse: number[] = [];
    const cached: number[] = [];
    for (let step = 1; step <= warm + updates; ++step) {
      // The list's prompts again and again: each is encoded once and kept.
      await trainer.update(1 + (step % 30));
      const pool = memoryOf("cpu");
      // JavaScript's own heap grows in steps of 16 MB and stays; what it holds is looked at by itself.
      const memory = process.memoryUsage();
      outside.push(memory.rss - memory.heapTotal);
      if (step === warm || step === warm + updates) {
        collectGarbage();
        heap.push(process.memoryUsage().heapUsed);
      }
      inUse.push(pool.inUse);
      cached.push(pool.cached);
    }
    trainer.dispose();
    assert.equal(inUse.at(-1), inUse[warm], "the pool's memory in use");
    assert.equal(cached.at(-1), cached[warm], "the pool's memory kept for reuse");
    // A leak of one latent an update would be more than either.
    const resident = median(outside.slice(-warm)) - median(outside.slice(warm, 2 * warm));
    assert.ok(resident < 8e6, `resident memory outside the heap: ${resident} bytes more`);
    const held = heap[1]! - heap[0]!;
    assert.ok(held < 2e6, `JavaScript's heap: ${held} bytes more`);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test.run();
