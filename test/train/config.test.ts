import assert from "node:assert/strict";
import { test } from "uvu";
import { danceGrpo, flowGrpo } from "../../ts/methods/grpo/presets.js";
import {
  directAlign,
  draft,
  draftLv,
  refl,
  srpoHps,
  srpoPickScore,
} from "../../ts/methods/presets.js";
import {
  dynamicMu,
  fluxDevSchedule,
  inferenceSigmas,
  shiftedSigmas,
} from "../../ts/sampler/schedule.js";
import { trainConfig, trainSchema } from "../../ts/train/config.js";
import {
  directAlignOptions,
  draftLvOptions,
  draftOptions,
  grpoOptions,
  reflOptions,
  srpoOptions,
} from "../../ts/train/methods.js";
import { flagOf, jsonSchema } from "../../ts/train/schema.js";

const config = (values: Record<string, unknown>) => trainConfig([{ name: "--", values }]);

test("the defaults are the published HPS recipe, the presets the others", () => {
  const defaults = config({});
  assert.deepEqual(srpoOptions(defaults), srpoHps);
  assert.deepEqual(srpoOptions(config({ preset: "pickscore" })), srpoPickScore);
  assert.deepEqual(directAlignOptions(defaults), directAlign);
  assert.equal(defaults.lr, 5e-6);
  assert.equal(defaults.batch, 32);
  assert.equal(defaults.steps, 19);
  assert.equal(defaults.maxGradNorm, 0.1);
  assert.equal(config({ preset: "micro" }).height, 64);
});

test("a preset has each method's own published values", () => {
  const of = (method: string, values: Record<string, unknown> = {}) =>
    config({ method, ...values });
  assert.deepEqual(reflOptions(of("refl")), refl);
  assert.deepEqual(draftOptions(of("draft")), draft);
  assert.deepEqual(draftLvOptions(of("draft-lv")), draftLv);
  for (const method of ["refl", "draft", "draft-lv"]) {
    const { lr, maxGradNorm, ema, steps } = of(method);
    assert.deepEqual(
      { lr, maxGradNorm, ema, steps },
      { lr: 1e-5, maxGradNorm: 1, ema: 0.995, steps: 300 },
    );
    // Where the published margin would be below any score.
    assert.equal(of(method, { preset: "pickscore" }).rewardMap, "linear");
    const micro = of(method, { preset: "micro" });
    assert.equal(micro.rewardMap, "linear");
    assert.equal(micro.lr, 3e-5);
    assert.ok(micro.stopSteps < micro.rolloutSteps || method !== "refl");
  }
  assert.equal(of("refl", { guidance: 2 }).guidance, 2);
  assert.deepEqual(grpoOptions(of("dance-grpo")), danceGrpo);
  assert.deepEqual(grpoOptions(of("flow-grpo")), flowGrpo);
  assert.deepEqual(grpoOptions(of("flow-grpo", { preset: "pickscore" })), flowGrpo);
  assert.equal(of("dance-grpo").timesteps, "integer");
  assert.equal(of("flow-grpo").timesteps, "exact");
  assert.equal(of("srpo").rewardMap, "linear");
});

test("the static shift of refl and draft is diffusers' dynamic one at 512 x 512", () => {
  const ours = shiftedSigmas(25, refl.shift);
  const theirs = inferenceSigmas(25, fluxDevSchedule, dynamicMu(fluxDevSchedule, 1024));
  assert.equal(ours.length, theirs.length);
  ours.forEach((sigma, i) => assert.ok(Math.abs(sigma - theirs[i]!) < 1e-6));
  assert.equal(config({ method: "refl", preset: "micro" }).shift, 3);
});

test("a later source wins, over the preset too", () => {
  const values = trainConfig([
    { name: "train.yaml", values: { preset: "pickscore", lr: 1e-5, rolloutGuidance: 3 } },
    { name: "--", values: { lr: "2e-5" } },
  ]);
  assert.equal(values.lr, 2e-5);
  assert.equal(values.rolloutGuidance, 3);
  assert.deepEqual(values.window, [5, 30]);
});

test("text from flags becomes its type", () => {
  const values = config({ window: "3,9", recomputeVae: "false", seed: 7, positiveWords: "A, B c" });
  assert.deepEqual(values.window, [3, 9]);
  assert.equal(values.recomputeVae, false);
  assert.equal(values.seed, "7");
  assert.deepEqual(values.positiveWords, ["A", "B c"]);
});

test("everything that is wrong is named at once", () => {
  const wrong = {
    lr: "abc",
    batch: 0,
    steps: 1.5,
    window: [1],
    noise: "loud",
    seed: "-1",
    negativeWords: [],
    rolloutStep: 3,
    recomputeVae: 1,
  };
  assert.throws(
    () => config(wrong),
    (error: Error & { code?: string }) => {
      assert.equal(error.code, "ERR_CONFIG");
      const lines = error.message.split("\n");
      assert.equal(lines.length, Object.keys(wrong).length);
      assert.ok(lines.includes('--lr: expected a number from 0 to 100000, got "abc"'));
      assert.ok(lines.includes("--batch: expected a whole number from 1 to 65536, got 0"));
      assert.ok(lines.includes('--noise: expected one of shared, per-prompt, got "loud"'));
      assert.ok(
        lines.includes("--rollout-step: no such option; did you mean rolloutSteps?"),
        error.message,
      );
      return true;
    },
  );
});

test("flags and the JSON Schema follow the table", () => {
  assert.equal(flagOf("rolloutSteps"), "rollout-steps");
  const { properties } = jsonSchema(trainSchema) as { properties: Record<string, object> };
  assert.deepEqual(Object.keys(properties), Object.keys(trainSchema));
});

test.run();
