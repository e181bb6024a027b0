import assert from "node:assert/strict";
import { test } from "uvu";
import { controlPrompts, srpoControlWords } from "../../ts/methods/control_words.js";
import { recoveryGain, Window, type WindowOptions } from "../../ts/methods/window.js";
import { shiftedSigmas } from "../../ts/sampler/schedule.js";
import { integerTimestep, timestepInput } from "../../ts/sampler/timestep.js";

const hps: WindowOptions = {
  shift: 3,
  tableSteps: 50,
  range: [5, 25],
  length: 1000,
  groundtruthRatio: 0.9,
};
const near = (a: number, b: number, tolerance: number) =>
  assert.ok(Math.abs(a - b) <= tolerance, `${a} is not ${b}`);

test("the sampler's sigmas are the published ones", () => {
  const s25 = shiftedSigmas(25, 3);
  for (const [i, value] of [
    [0, 1],
    [1, 0.98630137],
    [2, 0.97183099],
    [3, 0.95652174],
    [22, 0.29032258],
    [23, 0.20689655],
    [24, 0.11111111],
    [25, 0],
  ] as const)
    near(s25[i]!, value, 1.2e-7);
  const s50 = shiftedSigmas(50, 3);
  near(s50[5]!, 27 / 28, 6e-8);
  near(s50[25]!, 0.75, 6e-8);
  near(s50[30]!, 2 / 3, 6e-8);
});

test("the longest step is counted in double precision", () => {
  assert.equal(new Window(hps).longestStep, 100);
  assert.equal(new Window({ ...hps, groundtruthRatio: 0.6, length: 100 }).longestStep, 41);
});

// m, k, denoise from, to, g, inversion from, to, g, and both discount indices
for (const [m, k, df, dt, dg, vf, vt, vg, di, vi] of [
  [5, 5, 0.751931, 0.750858, -0.004305, 0.75, 0.751073, 0.004309, 5, 1],
  [100, 100, 0.792686, 0.771236, -0.093764, 0.75, 0.77145, 0.093853, 100, 1],
  [101, 100, 0.7929, 0.77145, -0.093852, 0.75, 0.77145, 0.093853, 101, 1],
  [500, 100, 0.878486, 0.857036, -0.150037, 0.835586, 0.857036, 0.150038, 500, 400],
  [900, 100, 0.964286, 0.942836, -0.375235, 0.921386, 0.942836, 0.375234, 900, 800],
  [950, 50, 0.964286, 0.953561, -0.230947, 0.942836, 0.953561, 0.230947, 950, 900],
  [995, 5, 0.964286, 0.963213, -0.029155, 0.962141, 0.963213, 0.029154, 995, 990],
] as const)
  test(`both branches at m = ${m}`, () => {
    const window = new Window(hps);
    assert.equal(window.stepLength(m), k);
    const [denoise, inversion] = [window.denoise(m), window.inversion(m)];
    near(denoise.from, df, 6e-7);
    near(denoise.to, dt, 6e-7);
    near(recoveryGain(denoise), dg, 2e-6);
    near(inversion.from, vf, 6e-7);
    near(inversion.to, vt, 6e-7);
    near(recoveryGain(inversion), vg, 2e-6);
    assert.deepEqual([denoise.discountIndex, inversion.discountIndex], [di, vi]);
  });

test("integer timesteps are float32 arithmetic", () => {
  assert.equal(integerTimestep(0.9), 900);
  assert.equal(integerTimestep(1), 1000);
  assert.deepEqual(
    Array.from(shiftedSigmas(25, 3).slice(0, 3), (s) => integerTimestep(s)),
    [1000, 986, 971],
  );
});

// The values that the reference embeds: bf16(1000 bf16(t)).
for (const [sigma, embedded] of [
  [1, 1000],
  [0.9863, 984],
  [0.96429, 964],
  [0.95, 948],
  [0.85, 852],
  [0.75, 752],
  [0.66667, 664],
  [0.25, 250],
] as const)
  test(`reference rounding of ${sigma}`, async () => {
    const { roundToBFloat16 } = await import("../../ts/tensor/dtype.js");
    assert.equal(roundToBFloat16(1000 * timestepInput(sigma, "reference")), embedded);
  });

test("control words follow the step", () => {
  const { positive, negative } = controlPrompts(srpoControlWords, 1, "a red fox in the snow");
  assert.equal(positive, "Detail. a red fox in the snow");
  assert.equal(negative, "Painting. a red fox in the snow");
  assert.throws(() => controlPrompts({ positive: [], negative: ["x"] }, 1, "a"), {
    code: "ERR_CONFIG",
  });
});

test("a wrong window is named", () => {
  assert.throws(() => new Window({ ...hps, range: [25, 5] }), { code: "ERR_CONFIG" });
  assert.throws(() => new Window({ ...hps, groundtruthRatio: 1 }), { code: "ERR_CONFIG" });
  assert.throws(() => new Window({ ...hps, length: 3 }), { code: "ERR_CONFIG" });
});

test.run();
