// The best checkpoint: what it is chosen by, and its name.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, readlinkSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { suite } from "uvu";
import { BestTracker, criterionOf, markBest, type BestState } from "../../ts/train/best.js";

const test = suite("best");
const figures = { realism: "higher", alignment: "higher", hacked: "lower" } as const;
const track = (keepBest: string, keepIf: readonly string[] = [], state?: BestState) =>
  new BestTracker(criterionOf(keepBest, keepIf, figures), state);
const of = (realism: number, alignment = 0.9, hacked = 0.1) => ({ realism, alignment, hacked });

test("the highest is the best, if it is above no training; since then it counts", () => {
  const tracker = track("realism");
  assert.ok(!tracker.note(0, of(0.3)), "the base is no checkpoint");
  assert.deepEqual(
    [0.2, 0.4, 0.4, 0.35, 0.5].map((value, i) => tracker.note(5 * (i + 1), of(value))),
    [false, true, false, false, true],
  );
  assert.deepEqual(tracker.state?.best, { step: 25, value: 0.5 });
  assert.equal(tracker.state.since, 0);
  tracker.note(30, of(Number.NaN));
  assert.equal(tracker.state.since, 1);
});

test("of a figure that is better lower, the lowest", () => {
  const tracker = track("hacked");
  tracker.note(0, of(0, 0, 0.1));
  assert.ok(!tracker.note(5, of(0, 0, 0.2)));
  assert.ok(tracker.note(10, of(0, 0, 0.05)));
});

test("conditions against no training and against a number", () => {
  const tracker = track("realism", ["alignment >= base - 0.02", "hacked<=0.2"]);
  tracker.note(0, of(0.1, 0.9));
  assert.ok(tracker.note(5, of(0.2, 0.885)));
  assert.ok(!tracker.note(10, of(0.3, 0.87)), "lost alignment");
  assert.ok(!tracker.note(15, of(0.3, 0.9, 0.21)), "hacked");
  assert.ok(tracker.note(20, of(0.25, 0.88, 0.2)));
});

test("a state goes on as if there had been no stop", () => {
  const values = [0.1, 0.3, 0.2, 0.4, 0.1];
  const whole = track("realism");
  values.forEach((value, i) => whole.note(i, of(value)));
  for (let at = 0; at <= values.length; ++at) {
    let parted = track("realism");
    values.slice(0, at).forEach((value, i) => parted.note(i, of(value)));
    const kept = parted.state && (JSON.parse(JSON.stringify(parted.state)) as BestState);
    parted = track("realism", [], kept);
    values.slice(at).forEach((value, i) => parted.note(at + i, of(value)));
    assert.deepEqual(parted.state, whole.state);
  }
});

test("a figure that is not there is refused with those that are; so is what is no condition", () => {
  const refused = (keepBest: string, keepIf: readonly string[], message: RegExp) =>
    assert.throws(() => track(keepBest, keepIf), { code: "ERR_CONFIG", message });
  refused(
    "realizm",
    [],
    /^keepBest: expected one of realism, alignment, hacked, got realizm; did you mean realism\?$/,
  );
  refused("realism", ["beauty>=1"], /^keepIf: expected one of realism, .*, got beauty$/);
  for (const wrong of ["alignment", "alignment>0.5", "alignment>=base*2", "hacked<=1.2.3"])
    refused("realism", [wrong], /^keepIf: expected conditions as "alignment>=base-0\.02"/);
});

test("the name moves by one rename, and only to a checkpoint that is there", async () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), "srpo-best-"));
  try {
    for (const name of ["step-000005", "step-000010"]) mkdirSync(path.join(folder, name));
    const best = () => readlinkSync(path.join(folder, "best"));
    await markBest(folder, 5);
    assert.equal(best(), "step-000005");
    await markBest(folder, 10);
    await markBest(folder, 15);
    assert.equal(best(), "step-000010");
    assert.deepEqual(readdirSync(folder).toSorted(), ["best", "step-000005", "step-000010"]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test.run();
