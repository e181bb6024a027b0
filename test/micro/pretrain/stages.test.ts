// Every stage learns, on a few scenes in a few steps, and all of them make up one folder that opens.
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import { test } from "uvu";
import { captionTokens } from "../../../ts/micro/captions.js";
import { evaluate } from "../../../ts/micro/evaluation/evaluate.js";
import { openMicroWorld } from "../../../ts/micro/evaluation/world.js";
import { Judge } from "../../../ts/micro/judges/judge.js";
import { pretrain } from "../../../ts/micro/pretrain/pretrain.js";
import { stageNames } from "../../../ts/micro/pretrain/settings.js";
import {
  loadAutoencoder,
  loadTextEncoders,
  loadTransformer,
  loadTwoTower,
} from "../../../ts/models/pipeline/load.js";
import { readMetrics } from "../../../ts/train/metrics.js";
import { silent, small, temporaryFolder } from "./support.js";

const folder = temporaryFolder();
test.after(() => folder[Symbol.dispose]());
const place = path.join(folder.path, "run");
const end = await pretrain({
  place,
  stages: stageNames,
  resume: false,
  seed: "5",
  signal: new AbortController().signal,
  out: silent,
  change: (settings) => small(settings, { steps: 20, batch: 16, ema: 0 }),
});

for (const stage of ["autoencoder", "reward", "judges/style", "judges/attributes", "policy"])
  test(`${stage}: the loss falls`, () => {
    const rows = readMetrics(path.join(place, stage, "metrics.jsonl")).filter((r) => "loss" in r);
    const [first, last] = [rows[0]!["loss"]!, rows.at(-1)!["loss"]!];
    assert.ok(last < 0.95 * first, `${first} to ${last}`);
  });

test("the folder has every part in the public layouts, small and with its provenance", async () => {
  assert.ok(!end.interrupted);
  const root = path.join(place, "micro");
  assert.equal(end.folder, root);
  const flux = await loadTransformer(root, {});
  const vae = await loadAutoencoder(root, { parts: ["encoder", "decoder"] });
  const text = await loadTextEncoders(root, {});
  const reward = await loadTwoTower(path.join(root, "reward"), {
    vocabulary: path.join(root, "tokenizer"),
  });
  const judges = [
    await Judge.open(path.join(root, "judges", "style")),
    await Judge.open(path.join(root, "judges", "attributes")),
  ];
  assert.equal(text.textLength, captionTokens);
  assert.equal(text.clipTokenizer.maxLength, captionTokens);
  assert.equal(reward.tokenizer.maxLength, captionTokens);
  for (const part of [flux, vae, text, reward.tower, ...judges]) part.dispose();

  const sizes = (at: string): number =>
    readdirSync(at).reduce((sum, name) => {
      const file = path.join(at, name);
      const stat = statSync(file);
      return sum + (stat.isDirectory() ? sizes(file) : stat.size);
    }, 0);
  assert.ok(sizes(root) < 16 * 2 ** 20, `${sizes(root)} bytes`);
  assert.match(readFileSync(path.join(root, "README.md"), "utf8"), /biased on purpose/);
  const record = JSON.parse(readFileSync(path.join(root, "pretrain.json"), "utf8")) as {
    seed: string;
    figures: Record<string, Record<string, number>>;
  };
  assert.equal(record.seed, "5");
  assert.ok(Number.isFinite(record.figures["policy"]!["alignment"]));
  assert.ok(existsSync(path.join(place, "policy", "samples", "step-000020-styles.png")));
});

test("the folder is a world to judge in, its limits those of its own reconstructions", async () => {
  const world = await openMicroWorld(path.join(place, "micro"));
  const policy = await world.openPolicy();
  assert.equal(world.limits.pictures, 8 * 4);
  const options = { split: "tuning", prompts: 4, seeds: 1, steps: 2 } as const;
  const { figures } = await evaluate(world, policy, options);
  assert.ok(figures.alignment > 0 && figures.alignment < 1);
  policy.dispose();
  world.dispose();
});

test.run();
