// A run's memory: planned before anything is loaded, and explained where it was used up all the same.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { suite } from "uvu";
import { parse } from "yaml";
import { withAdvice } from "../../ts/cli/memory_plan.js";
import { native } from "../../ts/native/binding.js";
import { codeOf } from "../../ts/native/error.js";
import { limitMemory, memoryOf, synchronize } from "../../ts/tensor/device.js";
import { trainConfig } from "../../ts/train/config.js";
import { Trainer } from "../../ts/train/trainer.js";
import { at, microFolder, succeed, training } from "../support/cli.js";

const test = suite("train: memory");
test.before(async () => {
  await microFolder();
});

test("--recompute auto says what it decided, and the run's config.yaml has it", async () => {
  const { stderr } = await succeed(...training("auto", "--steps", "1", "--recompute", "auto"));
  const lines = stderr.split("\n");
  const planned = lines.findIndex((line) => /^memory: .+ planned, .+ usable; .*weights/.test(line));
  assert.ok(planned >= 0 && planned < lines.findIndex((line) => line.startsWith("run folder:")));
  assert.match(lines[planned + 1]!, /^transformer blocks: all \d+ keep what they save$/);
  const config = parse(readFileSync(at("auto", "config.yaml"), "utf8")) as { recompute: unknown };
  assert.equal(String(config.recompute), "0");
  // Resumed, it is as it was decided.
  const more = await succeed("train", "--resume", at("auto"), "--steps", "2");
  assert.doesNotMatch(more.stderr, /^memory:/m);
});

test("used up, an update says what takes the most and what would take less, and the process goes on", async () => {
  const options = { model: at("micro"), preset: "micro", height: 96, width: 96, rolloutSteps: 1 };
  const config = trainConfig([{ name: "test", values: { ...options, batch: 4, microBatch: 4 } }]);
  const trainer = await Trainer.create(config);
  await synchronize("cpu");
  native.poolTrim("cpu");
  await synchronize("cpu");
  limitMemory("cpu", memoryOf("cpu").inUse + 48 * 2 ** 20);
  const error: unknown = await trainer.update(1).then(
    () => undefined,
    (failed: unknown) => failed,
  );
  limitMemory("cpu", 0);
  const { message } = (await withAdvice(error, config, 1)) as Error;
  assert.match(message, /cpu: asked for .+ \(.+\) with .+ left of a limit of \d+ MiB; in use /);
  assert.match(message, /in use \d+ MiB \(.*(weights|gradients|moments) \d+ MiB/);
  assert.match(message, /\nby plan: .*--recompute all \(.+ less\)/);
  assert.match(message, /--micro-batch 1 \(.+ less\)/);
  assert.equal(codeOf(await withAdvice(error, config, 1)), "ERR_OUT_OF_MEMORY");
  trainer.dispose();
  const again = await Trainer.create(config);
  await again.update(1);
  again.dispose();
});

test.run();
