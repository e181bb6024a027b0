import assert from "node:assert/strict";
import { test } from "uvu";
import { schedule } from "../../ts/optim/schedule.js";
import { refuses } from "../support/index.js";

const values = (factor: (update: number) => number, updates: number[]) =>
  updates.map((update) => Math.round(factor(update) * 1e6) / 1e6);

test("constant rises over the warm-up and stays", () => {
  assert.deepEqual(values(schedule("constant"), [1, 2, 1000]), [1, 1, 1]);
  const warm = schedule("constant", { warmup: 4 });
  assert.deepEqual(values(warm, [1, 2, 3, 4, 5, 99]), [0.25, 0.5, 0.75, 1, 1, 1]);
});

test("linear falls in a line to its floor and stays there", () => {
  const factor = schedule("linear", { warmup: 2, total: 6, floor: 0.2 });
  assert.deepEqual(values(factor, [1, 2, 3, 4, 5, 6, 7]), [0.5, 1, 0.8, 0.6, 0.4, 0.2, 0.2]);
});

test("cosine falls in half a cosine", () => {
  const factor = schedule("cosine", { total: 5 });
  assert.deepEqual(values(factor, [1, 2, 3, 4, 5, 9]), [1, 0.853553, 0.5, 0.146447, 0, 0]);
});

test("a run of one update has the full rate", () => {
  assert.equal(schedule("linear", { total: 1 })(1), 1);
});

test("options that make no schedule are refused", () => {
  refuses(
    () => schedule("cosine"),
    "ERR_CONFIG",
    "schedule: total: expected the number of updates for cosine, got none",
  );
  refuses(
    () => schedule("linear", { warmup: 5, total: 5 }),
    "ERR_CONFIG",
    "schedule: total: expected a whole number above warmup, 5, got 5",
  );
  refuses(
    () => schedule("constant", { warmup: -1 }),
    "ERR_CONFIG",
    "schedule: warmup: expected 0 or a whole number, got -1",
  );
});

test.run();
