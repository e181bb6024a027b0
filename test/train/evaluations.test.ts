// A trainer that is judged: when, what is kept, when it ends, and what happens if it is stopped meanwhile.
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { suite } from "uvu";
import { initMicro } from "../../ts/micro/init.js";
import { trainConfig } from "../../ts/train/config.js";
import type { Evaluator, Subject } from "../../ts/train/evaluator.js";
import { readMetrics } from "../../ts/train/metrics.js";
import { RunFolder } from "../../ts/train/run_folder.js";
import { Trainer, type RunEnd } from "../../ts/train/trainer.js";

const test = suite("evaluations");
const root = mkdtempSync(path.join(os.tmpdir(), "srpo-evaluations-"));
test.after(() => {
  rmSync(root, { recursive: true, force: true });
});
const model = path.join(root, "micro");
await initMicro(model, {
  seed: 1n,
  dtype: "float32",
  texts: ["a red fox in snow", "two owls", "a glass boat", "old town at night"],
});

/** Says of each step what it is told to; asked twice, it counts. */
class Told implements Evaluator {
  readonly figures = { beauty: "higher", harm: "lower" } as const;
  readonly headline = ["beauty"];
  readonly asked: number[] = [];
  trainer!: Trainer;
  /** Called before it answers. */
  before: (step: number) => void = () => {};

  constructor(readonly beauty: Readonly<Record<number, number>>) {}

  evaluate({ signal }: Subject): Promise<Record<string, number>> {
    const { step } = this.trainer;
    this.before(step);
    signal.throwIfAborted();
    this.asked.push(step);
    return Promise.resolve({ beauty: this.beauty[step] ?? 0, harm: step, other: 1 });
  }
}

const beauty = { 0: 0.5, 2: 0.6, 4: 0.9, 6: 0.7, 8: 0.8, 10: 0.85 };

/** Trains in a folder of this name, from its newest checkpoint if it has one. */
async function train(
  name: string,
  values: Record<string, unknown>,
  { told = new Told(beauty), stop }: { told?: Told; stop?: (told: Told, end: () => void) => void },
): Promise<{ end: RunEnd; told: Told; run: RunFolder }> {
  const run = new RunFolder(path.join(root, name));
  const config = trainConfig([
    {
      name: "test",
      values: {
        preset: "micro",
        model,
        height: 16,
        width: 16,
        batch: 1,
        microBatch: 1,
        rolloutSteps: 1,
        steps: 10,
        sampleEvery: 0,
        saveEvery: 0,
        keep: 1,
        evalEvery: 2,
        keepBest: "beauty",
        ...values,
      },
    },
  ]);
  const from = existsSync(run.checkpoints)
    ? readdirSync(run.checkpoints)
        .filter((entry) => entry.startsWith("step-"))
        .toSorted()
        .at(-1)
    : undefined;
  const place = from === undefined ? undefined : path.join(run.checkpoints, from);
  const trainer = await Trainer.create(config, place, told);
  told.trainer = trainer;
  const controller = new AbortController();
  stop?.(told, () => controller.abort(new Error("stopped")));
  try {
    await run.create(config);
    return { end: await trainer.run(run, { signal: controller.signal }), told, run };
  } finally {
    trainer.dispose();
  }
}

const evaluated = (run: RunFolder) =>
  readMetrics(run.metrics).filter((row) => "eval/beauty" in row);
const kept = (run: RunFolder) => readdirSync(run.checkpoints).toSorted();
const best = (run: RunFolder) => readlinkSync(path.join(run.checkpoints, "best"));

test("the best checkpoint outlives newer ones, every figure is in metrics.jsonl", async () => {
  const { end, told, run } = await train("whole", {}, {});
  assert.deepEqual(told.asked, [0, 2, 4, 6, 8, 10]);
  assert.deepEqual(kept(run), ["best", "step-000004", "step-000010"]);
  assert.equal(best(run), "step-000004");
  assert.deepEqual(
    evaluated(run).map((row) => [row.step, row["eval/beauty"], row["eval/other"]]),
    Object.entries(beauty).map(([step, value]) => [Number(step), value, 1]),
  );
  assert.deepEqual(end.conclusion, [
    "best: step 4, beauty 0.9000 (before training 0.5000): checkpoints/best",
  ]);
  assert.ok(!end.interrupted);
});

test("patience ends it; a run that goes on with more of it goes on", async () => {
  const { end, told, run } = await train("patient", { patience: 2 }, {});
  assert.deepEqual(told.asked, [0, 2, 4, 6, 8]);
  assert.deepEqual(kept(run), ["best", "step-000004", "step-000008"]);
  assert.ok(!end.interrupted);
  assert.equal(end.checkpoint, path.join(run.checkpoints, "step-000008"));
  assert.match(end.conclusion[0]!, /^early end: no better beauty in the last 2 evaluations$/);
  const again = await train("patient", { patience: 2 }, {});
  assert.deepEqual(again.told.asked, []);
  assert.equal(again.end.checkpoint, end.checkpoint);
  const more = await train("patient", { patience: 4 }, {});
  assert.deepEqual(more.told.asked, [10]);
  assert.deepEqual(kept(run), ["best", "step-000004", "step-000010"]);
});

const weights = (run: RunFolder, step: string) =>
  readFileSync(path.join(run.checkpoints, step, "state/state.safetensors"));
const timeless = (run: RunFolder) =>
  readMetrics(run.metrics).map((row) => ({ ...row, seconds: 0 }));

test("stopped within an evaluation or after it and resumed, it is the run that nobody stopped", async () => {
  const whole = new RunFolder(path.join(root, "whole"));
  for (const [name, at, after] of [
    ["within the base's", 0, false],
    ["within", 4, false],
    ["after", 4, true],
    ["after the last best", 6, true],
  ] as const) {
    const { end, run } = await train(
      name,
      {},
      {
        stop: (told, stop) => {
          told.before = (step) => void (step === at && (after ? setImmediate(stop) : stop()));
        },
      },
    );
    assert.ok(end.interrupted, name);
    const again = await train(name, {}, {});
    assert.ok(!again.end.interrupted);
    assert.deepEqual(timeless(run), timeless(whole), name);
    assert.deepEqual(kept(run), kept(whole));
    assert.equal(best(run), best(whole));
    assert.ok(weights(run, "step-000010").equals(weights(whole, "step-000010")));
    const training = (folder: RunFolder) =>
      (
        JSON.parse(
          readFileSync(path.join(folder.checkpoints, "step-000010/training.json"), "utf8"),
        ) as { evaluation: object }
      ).evaluation;
    assert.deepEqual(training(run), training(whole));
  }
});

test("conditions: what loses too much is not the best; none may be", async () => {
  const { run } = await train("conditions", { keepIf: ["harm<=3"] }, {});
  assert.equal(best(run), "step-000002");
  const none = await train("none", { keepIf: ["harm<=base+1"] }, {});
  assert.ok(!existsSync(path.join(none.run.checkpoints, "best")));
  assert.match(none.end.conclusion[0]!, /^best: none; /);
});

test("what cannot be judged is refused before anything is loaded", async () => {
  const refused = async (values: Record<string, unknown>, message: RegExp, told?: Told) => {
    const config = trainConfig([{ name: "test", values: { model: "nowhere", ...values } }]);
    await assert.rejects(Trainer.create(config, undefined, told), { code: "ERR_CONFIG", message });
  };
  const told = new Told({});
  await refused({ keepBest: "beuaty" }, /one of beauty, harm, got beuaty; did you mean/, told);
  await refused({ patience: 3 }, /^patience: expected keepBest beside it/, told);
  await refused({ keepIf: ["harm<=1"] }, /^keepIf: expected keepBest beside it/, told);
  await refused({ keepBest: "beauty", evalEvery: 0 }, /^evalEvery: expected 1 or more/, told);
  await refused({ keepBest: "score" }, /^keepBest: expected something to judge the model by/);
  await refused({ evalEvery: 3 }, /^evalEvery: expected something to judge the model by/);
  await refused(
    { keepBest: "beauty", evalReward: "x" },
    /^keepBest: expected one of score, got beauty/,
  );
});

test.run();
