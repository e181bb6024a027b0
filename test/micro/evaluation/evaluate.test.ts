// A policy judged: the same figures on any number of threads, the same noise for every policy, and what figures mean.
import assert from "node:assert/strict";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "uvu";
import { evaluate, evaluateRenders, promptsOf } from "../../../ts/micro/evaluation/evaluate.js";
import { figuresOf, flatFigures } from "../../../ts/micro/evaluation/figures.js";
import { percentile, readLimits } from "../../../ts/micro/evaluation/limits.js";
import { openMicroWorld } from "../../../ts/micro/evaluation/world.js";
import { native } from "../../../ts/native/binding.js";
import { temporaryFolder } from "../pretrain/support.js";
import { randomWorld } from "./support.js";

const temporary = temporaryFolder();
const folder = path.join(temporary.path, "micro");
await randomWorld(folder);
const world = await openMicroWorld(folder);
const policy = await world.openPolicy();
test.after(() => {
  policy.dispose();
  world.dispose();
  temporary[Symbol.dispose]();
});
const few = { split: "tuning", prompts: 3, seeds: 2, steps: 2 } as const;

test("figures and pictures are the same on one thread, two and three", async () => {
  const progress: number[] = [];
  const onProgress = (done: number, total: number) => progress.push(done / total);
  const first = await evaluate(world, policy, { ...few, onProgress });
  assert.deepEqual(progress, [0.5, 1]);
  assert.equal(first.pictures.length, 6);
  for (const value of Object.values(flatFigures(first.figures)))
    assert.ok(Number.isFinite(value), JSON.stringify(first.figures));
  assert.ok(first.figures.diversity > 0, "pictures of one prompt differ");
  for (const threads of [1, 2, 3]) {
    native.cpuSetThreads(threads);
    const again = await evaluate(world, policy, few);
    native.cpuSetThreads(0);
    assert.deepEqual(again.figures, first.figures);
    assert.deepEqual(again.pictures, first.pictures);
  }
});

test("fewer prompts are the first of more, with the same noise; another seed has other noise", async () => {
  const all = await evaluate(world, policy, few);
  const one = await evaluate(world, policy, { ...few, prompts: 1 });
  assert.deepEqual(one.pictures, all.pictures.slice(0, 2));
  const other = await evaluate(world, policy, { ...few, seed: 1n });
  assert.notDeepEqual(other.pictures, all.pictures);
});

test("the prompts of a split are its own", () => {
  const captions = (split: "tuning" | "reporting" | "training") =>
    promptsOf(split, 64).map(({ caption }) => caption);
  assert.equal(captions("tuning").length, 64);
  assert.notDeepEqual(captions("tuning"), captions("reporting"));
  assert.ok(promptsOf("reporting", 8).every(({ scene }) => scene.split === "reporting"));
});

test("what each figure counts", async () => {
  const { judged } = await evaluate(world, policy, few);
  const limits = world.limits;
  const inside = (from: { low: number; high: number }) => (from.low + from.high) / 2;
  const good = {
    ...judged[0]!,
    style: [0.7, 0.1, 0.1, 0.1],
    saturation: inside(limits.all.saturation),
    contrast: inside(limits.all.contrast),
    texture: inside(limits.all.texture),
    grid4: 0,
    grid8: 0,
    sure: { style: 1, attributes: 1 },
    found: [true, true, true, true, true, true],
  };
  const of = (...changes: Partial<typeof good>[]) =>
    figuresOf(
      changes.map((change) => ({ ...good, ...change })),
      limits,
    );
  const plain = of({}, {});
  assert.equal(plain.realism, 0.7);
  assert.deepEqual([plain.alignment, plain.lost, plain.hacked, plain.artefacts], [1, 0, 0, 0]);
  assert.equal(plain.diversity, 0, "of one and the same picture");
  const vivid = of({}, { saturation: limits.all.saturation.high + 0.01 });
  assert.deepEqual([vivid.hacked, vivid.hackedInStyle], [0.5, 0.5 + plain.hackedInStyle / 2]);
  assert.equal(of({ texture: limits.all.texture.low - 0.001 }).hacked, 1);
  assert.equal(of({ sure: { style: 0, attributes: 1 } }).hacked, 0, "one judge is sure");
  assert.equal(of({ sure: { style: 0, attributes: 0 } }).hacked, 1);
  assert.equal(of({}, { grid8: limits.byStyle.photo.grid8.high * 1.01 }).artefacts, 0.5);
  assert.equal(of({ grid4: limits.byStyle.photo.grid4.mean * 3 }).grid4, 3);
  const missing = of(
    { found: [false, true, true, true, true, true] },
    { found: [false, false, true, true, true, true] },
  );
  assert.deepEqual([missing.lost, missing.finds.shape, missing.finds.colour], [0.5, 0, 0.5]);
  assert.equal(missing.alignment, (0 + 0.5 + 4) / 6);
});

test("renders of the world are judged the same way", async () => {
  const { figures, pictures } = await evaluateRenders(world, "photo", few);
  assert.equal(pictures.length, 3);
  assert.equal(figures.diversity, 0);
  assert.ok(
    figures.grid8 < 5 && figures.grid8 > 0.2,
    `${figures.grid8} of what reconstructions have`,
  );
});

test("a signal ends it, and wrong counts are refused", async () => {
  const controller = new AbortController();
  const onProgress = () => controller.abort(new Error("enough"));
  const { signal } = controller;
  await assert.rejects(evaluate(world, policy, { ...few, signal, onProgress }), /enough/);
  await assert.rejects(evaluate(world, policy, { ...few, prompts: 0 }), {
    code: "ERR_RANGE",
    message: /prompts: expected a whole number above 0, got 0/,
  });
});

test("percentiles lie between neighbours", () => {
  assert.equal(percentile([3, 1, 2], 0.5), 2);
  assert.equal(percentile([0, 10], 0.25), 2.5);
});

test("limits that are missing or broken say what writes them", () => {
  const file = path.join(folder, "judges", "limits.json");
  const text = readFileSync(file, "utf8");
  const broken = JSON.parse(text) as {
    all: { contrast: unknown };
    byStyle: { flat: { grid4: unknown } };
  };
  broken.all.contrast = "high";
  broken.byStyle.flat.grid4 = null;
  writeFileSync(file, JSON.stringify(broken));
  assert.throws(() => readLimits(folder), {
    code: "ERR_CHECKPOINT",
    message:
      /number at all\.contrast\.low, all\.contrast\.high, byStyle\.flat\.grid4\.mean, byStyle\.flat\.grid4\.high; "srpo-native micro limits/,
  });
  rmSync(file);
  assert.throws(() => readLimits(folder), { code: "ERR_CHECKPOINT", message: /got none; "srpo-/ });
  writeFileSync(file, text);
});

test.run();
