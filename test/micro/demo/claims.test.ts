// What the shipped models are for: SRPO makes photographs of what the policy draws and keeps the prompt; a method that
// raises the plain reward gets more of it, and less of a photograph. Half the demo's updates, few pictures.
import assert from "node:assert/strict";
import { test } from "uvu";
import { runArm } from "../../../ts/micro/demo/arm.js";
import { openLab, shippedModels } from "../../../ts/micro/demo/lab.js";
import { armOf } from "../../../ts/micro/demo/settings.js";
import { temporaryFolder } from "../pretrain/support.js";

const temporary = temporaryFolder();
const budget = { split: "tuning", prompts: 48, pictures: 1, steps: 12, lookEvery: 0 } as const;
const { signal } = new AbortController();
const lab = await openLab({
  model: shippedModels,
  place: temporary.path,
  budget,
  threads: 0,
  signal,
});
const write = process.stderr.write.bind(process.stderr);
process.stderr.write = () => true;
test.after(() => {
  process.stderr.write = write;
  lab.world.dispose();
  temporary[Symbol.dispose]();
});

const after = async (name: string) => {
  const run = { arm: armOf(name), seed: "1", updates: 10, keepCheckpoint: false };
  return (await runArm(lab, run))!.figures;
};

test("SRPO: more than twice the realism in ten updates, every attribute kept", async () => {
  const [base, srpo] = [await after("base"), await after("srpo")];
  assert.ok(base.realism < 0.15 && base.alignment > 0.95, JSON.stringify(base));
  assert.ok(srpo.realism > 2 * base.realism, `${base.realism} -> ${srpo.realism}`);
  assert.ok(srpo.alignment > base.alignment - 0.02, `${base.alignment} -> ${srpo.alignment}`);
  assert.ok(srpo.hacked < base.hacked + 0.03, `${base.hacked} -> ${srpo.hacked}`);
});

test("Direct-Align on the plain reward: more of it, and less of a photograph", async () => {
  const [base, rival] = [await after("base"), await after("direct-align")];
  assert.ok(rival.reward > base.reward + 0.02, `${base.reward} -> ${rival.reward}`);
  assert.ok(rival.realism < base.realism, `${base.realism} -> ${rival.realism}`);
});

test.run();
