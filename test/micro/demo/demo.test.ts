// The demo within this process, on drawn weights and with tiny budgets: the same figures on any threads, after any
// stop, and nothing computed twice.
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import { test } from "uvu";
import { compare, type CompareRun } from "../../../ts/micro/demo/compare.js";
import { tablesOf } from "../../../ts/micro/demo/compare_page.js";
import { demo } from "../../../ts/micro/demo/demo.js";
import { openLab, type Lab } from "../../../ts/micro/demo/lab.js";
import { freshPlace } from "../../../ts/micro/demo/place.js";
import type { ArmResult } from "../../../ts/micro/demo/result.js";
import { armOf } from "../../../ts/micro/demo/settings.js";
import { assertStandsAlone, assertWellFormed } from "../../support/pages.js";
import { randomWorld } from "../evaluation/support.js";
import { temporaryFolder } from "../pretrain/support.js";

const temporary = temporaryFolder();
const at = (...names: string[]) => path.join(temporary.path, ...names);
await randomWorld(at("world"));
const budget = { split: "tuning", prompts: 2, pictures: 2, steps: 2, lookEvery: 2 } as const;
const still = new AbortController().signal;
const lab = await openLab({ model: at("world"), place: "", budget, threads: 0, signal: still });
// Progress is not what is looked at here.
const write = process.stderr.write.bind(process.stderr);
const quiet = () => true;
process.stderr.write = quiet;
test.after(() => {
  process.stderr.write = write;
  lab.world.dispose();
  temporary[Symbol.dispose]();
});

/** A lab of another folder, threads or signal on the models that are open. */
const labOf = (name: string, rest: Partial<Lab> = {}): Lab => ({
  ...lab,
  place: at(name),
  ...rest,
});
const tiny = { batch: 1, microBatch: 1, rolloutSteps: 2 };
const run = (updates = 3, seed = "42") => ({ seed, updates, options: tiny });
/** Everything but what a clock says. */
const measured = ({ figures, curve, pictures, cost: { forwards, backwards } }: ArmResult) => ({
  figures,
  curve,
  pictures,
  forwards,
  backwards,
});

/** Aborts when stderr has these words: no sleeping, no racing. */
async function stoppedAt<T>(words: RegExp, call: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  let said = "";
  process.stderr.write = (text: string | Uint8Array) => {
    said += String(text);
    if (words.test(said)) controller.abort("SIGINT");
    return true;
  };
  try {
    return await call(controller.signal);
  } finally {
    process.stderr.write = quiet;
    assert.ok(controller.signal.aborted, `${words.source} never came: ${said}`);
  }
}

test("the same figures on one thread and two; others for another seed", async () => {
  const one = (await demo(labOf("one", { threads: 1 }), run()))!;
  const two = (await demo(labOf("two", { threads: 2 }), run()))!;
  assert.deepEqual(measured(one.after), measured(two.after));
  assert.deepEqual(measured(one.base), measured(two.base));
  assert.deepEqual(
    one.after.curve.map(({ step }) => step),
    [0, 2, 3],
  );
  // 3 updates of one prompt: a rollout of two steps, and both branches.
  assert.deepEqual([one.after.cost.forwards, one.after.cost.backwards], [3 * 4, 3 * 2]);
  const other = (await demo(labOf("other"), run(3, "7")))!;
  assert.deepEqual(other.base.figures, one.base.figures);
  assert.notDeepEqual(other.after.figures, one.after.figures);
});

test("the page: one picture a prompt before and after, four curves, no request", () => {
  const page = readFileSync(at("one/report.html"), "utf8");
  assertWellFormed(page);
  assertStandsAlone(page);
  assert.equal(page.match(/<img\b/g)?.length, 4);
  assert.equal(page.match(/<polyline\b/g)?.length, 4);
});

for (const [when, words] of [
  ["the base model is judged", /base: 4 pictures[^]*\/2 steps/],
  ["it is looked at before the first update", /0\/3 updates.*evaluating/],
  ["it trains", /step 2: realism/],
  ["what came of it is judged", /SRPO: 4 pictures[^]*\/2 steps/],
] as const)
  test(`a stop while ${when}: called again it ends with the same bits`, async () => {
    const place = `stopped-${when.replaceAll(" ", "-")}`;
    const stopped = await stoppedAt(words, (signal) => demo(labOf(place, { signal }), run()));
    assert.equal(stopped, undefined);
    assert.ok(!existsSync(at(place, "report.html")));
    const resumed = (await demo(labOf(place), run()))!;
    const whole = (await demo(labOf("one"), run()))!;
    assert.deepEqual(measured(resumed.after), measured(whole.after));
    assert.deepEqual(measured(resumed.base), measured(whole.base));
  });

test("a comparison: tables, JSON, page; what is there is not computed again", async () => {
  const arms = ["base", "direct-align", "srpo", "srpo-no-inversion"].map(armOf);
  const some: CompareRun = { arms, seeds: ["1", "2"], updates: 1, options: tiny };
  const first = (await compare(labOf("compared"), some))!;
  const [methods, ablations] = tablesOf(first);
  assert.deepEqual(
    methods!.table.rows.map(([title]) => title),
    ["base", "Direct-Align", "SRPO"],
  );
  assert.match(methods!.table.rows[1]![1]!, /^-?[\d.]+ ± [\d.]+$/);
  assert.deepEqual(
    ablations!.table.rows.map(([title]) => title),
    ["base", "SRPO", "without inversion"],
  );
  const page = readFileSync(at("compared/report.html"), "utf8");
  assertWellFormed(page);
  assertStandsAlone(page);
  assert.equal(page.match(/<img\b/g)?.length, 4 * 2);
  const all = JSON.parse(readFileSync(at("compared/compare.json"), "utf8")) as {
    seeds: string[];
    arms: { name: string; runs: object[]; over: Record<string, { deviation: number }> }[];
  };
  assert.deepEqual(
    all.arms.map(({ runs }) => runs.length),
    [1, 2, 2, 2],
  );
  assert.ok(Number.isFinite(all.arms[1]!.over["realism"]!.deviation));

  const folder = readdirSync(at("compared")).find((name) => /^srpo-[0-9a-f]{8}$/.test(name))!;
  const kept = statSync(at("compared", folder, "seed-1/figures.json")).mtimeMs;
  assert.ok(!existsSync(at("compared", folder, "seed-1/training/checkpoints")));
  const wider = (await compare(labOf("compared"), { ...some, seeds: ["1", "2", "3"] }))!;
  assert.equal(statSync(at("compared", folder, "seed-1/figures.json")).mtimeMs, kept);
  assert.deepEqual(measured(wider.arms[2]!.results[0]!), measured(first.arms[2]!.results[0]!));
  assert.equal(readdirSync(at("compared", folder)).length, 3);
});

test("options that train does not know are refused with the arm's name", async () => {
  const call = demo(labOf("wrong"), { ...run(), options: { learningRate: 1 } });
  await assert.rejects(call, {
    code: "ERR_CONFIG",
    message: /^srpo: .*learningRate: no such option/,
  });
});

test("a folder that is taken is followed by the next number", () => {
  assert.equal(freshPlace(at("one")), at("one-2"));
  assert.equal(freshPlace(at("nowhere")), at("nowhere"));
});

test.run();
