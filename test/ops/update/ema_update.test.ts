import assert from "node:assert/strict";
import { cast, emaUpdate, joinMaster, splitMaster } from "../../../ts/ops/index.js";
import { zeros } from "../../../ts/tensor/tensor.js";
import { assertRelative, forEachDevice, randn, refuses, toFloat64 } from "../../support/index.js";

const n = 1003;

forEachDevice("emaUpdate", (test, device) => {
  test("float32 is the definition", async () => {
    const [ema, weights] = [randn([n], { device, seed: 1 }), randn([n], { device, seed: 2 })];
    const [old, w] = await toFloat64(ema, weights);
    emaUpdate(ema, weights, { decay: 0.995 });
    await assertRelative(
      ema,
      old.map((e, i) => 0.995 * e + 0.005 * w[i]!),
      1e-7,
    );
  });

  test("bfloat16 weights are followed through their masters, to the same bits", async () => {
    const master = randn([n], { device, seed: 2 });
    const weights = zeros([n], { dtype: "bfloat16", device });
    const remainder = zeros([n, 2], { dtype: "uint8", device });
    splitMaster(master, weights, remainder);
    const [a, b] = [zeros([n], { device }), zeros([n], { device })];
    for (const decay of [0, 0.9, 0.999]) {
      emaUpdate(a, master, { decay });
      emaUpdate(b, weights, { remainder, decay });
    }
    assert.deepEqual(await b.read(), await a.read());
    assert.deepEqual(await joinMaster(weights, remainder).read(), await master.read());
  });

  test("decay 1 keeps, decay 0 takes", async () => {
    const [ema, weights] = [zeros([n], { device }), randn([n], { device })];
    emaUpdate(ema, weights, { decay: 1 });
    assert.ok((await ema.read()).every((e) => e === 0));
    emaUpdate(ema, weights, { decay: 0 });
    assert.deepEqual(await ema.read(), await weights.read());
  });

  test("each refusal names its argument", () => {
    const weights = cast(randn([n], { device }), "bfloat16");
    const ema = zeros([n], { device });
    refuses(
      () => emaUpdate(ema, weights, { decay: 0.9 }),
      "ERR_SHAPE",
      `emaUpdate: remainder: expected [${n}, 2] uint8 for bfloat16 weights, got none`,
    );
    refuses(
      () => emaUpdate(ema, zeros([n], { device }), { decay: 2 }),
      "ERR_RANGE",
      "emaUpdate: decay: expected 0 to 1, got 2.000000",
    );
  });
});
