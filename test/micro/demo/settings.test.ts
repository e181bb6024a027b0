// The committed table of settings is what `train` takes, and the sentences say what was measured.
import assert from "node:assert/strict";
import { test } from "uvu";
import { unknownWords } from "../../../ts/micro/captions.js";
import { meanAndDeviation, say, sayRuns } from "../../../ts/micro/demo/figures.js";
import { armOf, arms, common } from "../../../ts/micro/demo/settings.js";
import { trainConfig } from "../../../ts/train/config.js";

test("every arm's options are options of train, its words are the reward's", () => {
  assert.equal(new Set(arms.map(({ name }) => name)).size, arms.length);
  for (const arm of arms) {
    if (arm.options === undefined) continue;
    const config = trainConfig([{ name: arm.name, values: { ...common, ...arm.options } }]);
    for (const word of [...config.positiveWords, ...config.negativeWords])
      if (config.method === "srpo") assert.deepEqual(unknownWords(word), [], word);
  }
  assert.equal(armOf("base").options, undefined);
});

test("an ablation differs from SRPO by what its name says", () => {
  const srpo = armOf("srpo").options!;
  const changes = arms
    .filter(({ group }) => group === "ablations")
    .map(({ name, options }) => [
      name,
      Object.keys(options!).filter((key) => options![key] !== srpo[key]),
    ]);
  assert.deepEqual(Object.fromEntries(changes), {
    "srpo-no-inversion": ["branches"],
    "srpo-inversion-only": ["branches"],
    "srpo-late-window": ["window"],
    "srpo-published-k": ["discountPositive", "discountNegative"],
    "srpo-wrong-words": ["positiveWords", "negativeWords"],
  });
});

test("means, deviations and how they are written", () => {
  assert.deepEqual(meanAndDeviation([1, 2, 3]), { mean: 2, deviation: 1 });
  assert.deepEqual(meanAndDeviation([5]), { mean: 5, deviation: 0 });
  assert.equal(sayRuns([0.32, 0.36], "share"), "34.0 ± 2.8");
  assert.equal(sayRuns([0.7], "cosine"), "0.700");
  assert.equal(say(-0.00001, "cosine"), "0.000");
  assert.equal(say(10.456, "plain"), "10.46");
});

test.run();
