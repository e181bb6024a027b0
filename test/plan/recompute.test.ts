// As few blocks that run again in backward as memory asks for.
import assert from "node:assert/strict";
import { suite } from "uvu";
import { decisionLines } from "../../ts/cli/memory_plan.js";
import { modelsOf } from "../../ts/plan/models.js";
import { savings } from "../../ts/plan/nearest.js";
import { fewestAgain, planOf, type PlanRequest } from "../../ts/plan/plan.js";
import { trainConfig } from "../../ts/train/config.js";
import { recomputedBlocks } from "../../ts/train/recompute.js";

const test = suite("plan: recompute");
const blocks = 57;

function request(memory: number, values: Readonly<Record<string, unknown>> = {}): PlanRequest {
  const config = trainConfig([{ name: "test", values: { moments: "8bit", batch: 1, ...values } }]);
  const machine = { card: "h200", gpus: 1, nodes: 1, memory } as const;
  return { config, models: modelsOf(config), machine };
}

test("none run again where there is room, all where there is none, and fewer with more room", () => {
  assert.equal(fewestAgain(request(1e12)).blocks, 0);
  const none = fewestAgain(request(1e9));
  assert.deepEqual([none.blocks, none.plan.fits], [blocks, false]);
  let before = blocks + 1;
  const least = planOf(request(1e9, { recompute: "all" })).bytes;
  const most = planOf(request(1e9, { recompute: "none" })).bytes;
  assert.ok(most > least + 5e9, `${least} to ${most}`);
  for (const share of [0.05, 0.35, 0.65, 0.95]) {
    const capacity = least + share * (most - least);
    const { blocks: again, plan } = fewestAgain(request(capacity));
    assert.ok(plan.fits && again < before, `${again} blocks with ${capacity}`);
    assert.ok(again > 0 && again < blocks);
    const fewer = planOf(request(capacity, { recompute: again - 1 }));
    assert.ok(!fewer.fits, "one fewer would fit too");
    before = again;
  }
});

test("a plan of auto is the plan of what it decides", () => {
  const capacity = planOf(request(1e12, { recompute: 20 })).bytes;
  const { blocks: again, plan } = fewestAgain(request(capacity));
  assert.deepEqual(planOf(request(capacity)), plan);
  assert.equal(again, 20);
  assert.match(
    plan.parts.find(({ name }) => name === "transformer activations")!.note!,
    /^20 of 57 blocks run again in backward$/,
  );
  const lines = decisionLines(plan, again, blocks);
  assert.match(
    lines[0]!,
    /^memory: \d+\.\d\d GB planned, \d+\.\d\d GB usable; .*weights 23\.80 GB/,
  );
  assert.equal(lines[1], "transformer blocks: 20 of 57 run again in backward");
});

test("time grows with the blocks that run again", () => {
  const seconds = (recompute: unknown) => planOf(request(1e12, { recompute })).times[0]!.seconds;
  const [none, half, all] = [seconds("none"), seconds(28), seconds("all")];
  assert.ok(none < half && half < all);
  assert.ok(Math.abs((half - none) / (all - none) - 28 / 57) < 1e-6);
});

test("what recompute may be", () => {
  const said = (recompute: unknown) =>
    trainConfig([{ name: "test", values: { recompute } }]).recompute;
  const counts = [true, "all", "auto", false, "none", 0, 12, "99"].map((value) =>
    recomputedBlocks(said(value), blocks),
  );
  assert.deepEqual(counts, [57, 57, 57, 0, 0, 0, 12, 57]);
  assert.equal(trainConfig([]).recompute, "auto");
  for (const wrong of ["some", -1, 1.5, "12 blocks"])
    assert.throws(() => said(wrong), /recompute: expected auto, none, all or a number of blocks/);
});

test("what would take less, the most first", () => {
  const found = savings(request(1e12, { recompute: "none", microBatch: 4, batch: 4 }));
  assert.ok(found.length >= 3);
  const says = found.map((each) => each.says);
  assert.ok(says.includes("--recompute all") && says.includes("--micro-batch 1"), says.join());
  for (let i = 1; i < found.length; ++i) assert.ok(found[i]!.bytes <= found[i - 1]!.bytes);
});

test.run();
