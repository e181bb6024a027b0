import { mkdtempSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { initMicro } from "../../ts/micro/init.js";
import { trainConfig } from "../../ts/train/config.js";
import { Trainer } from "../../ts/train/trainer.js";
import type { BenchCase } from "../support/case.js";

/** One whole update of the micro model: rollout, both branches, clip and AdamW. */
function stepCase(precision: "f32" | "bf16"): BenchCase {
  return {
    name: `SRPO update, micro  ${precision}  batch 8, 8 rollout steps`,
    why: "what a user of the micro preset waits for",
    setUp: () => {
      let trainer: Promise<Trainer> | undefined;
      let step = 0;
      return async () => {
        trainer ??= makeTrainer(precision);
        await (await trainer).update(++step);
      };
    },
  };
}

async function makeTrainer(precision: "f32" | "bf16"): Promise<Trainer> {
  const folder = path.join(mkdtempSync(path.join(os.tmpdir(), "srpo-bench-")), "micro");
  await initMicro(folder, { seed: 0n, dtype: "float32", texts: ["a red fox in the snow"] });
  return Trainer.create(
    trainConfig([{ name: "bench", values: { preset: "micro", model: folder, precision } }]),
  );
}

export const cases: readonly BenchCase[] = [stepCase("f32"), stepCase("bf16")];
