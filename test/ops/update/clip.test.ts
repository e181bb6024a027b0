import assert from "node:assert/strict";
import { clip, globalNorm } from "../../../ts/ops/index.js";
import { tensor } from "../../../ts/tensor/tensor.js";
import { assertRelative, forEachDevice, randn, refuses, toFloat64 } from "../../support/index.js";

forEachDevice("clip", (test, device) => {
  for (const [dtype, tolerance] of [
    ["float32", 1e-7],
    ["bfloat16", 2 ** -8],
  ] as const)
    test(`${dtype}: a larger gradient gets the largest norm`, async () => {
      const grad = randn([40_001], { dtype, device });
      const [before] = await toFloat64(grad);
      const norm = globalNorm(grad);
      const factor = 0.1 / ((await norm.item()) + 1e-6);
      clip(grad, norm, 0.1);
      await assertRelative(
        grad,
        before.map((g) => factor * g),
        tolerance,
      );
    });

  test("a smaller one, and one that is not finite, keep their bits", async () => {
    for (const values of [
      [0.03, -0.04],
      [NaN, 1],
      [Infinity, 1],
    ]) {
      const grad = tensor(values, [2], { device });
      clip(grad, globalNorm(grad), 0.1);
      assert.deepEqual(await grad.read(), Float32Array.from(values));
    }
  });

  test("each refusal names its argument", () => {
    const grad = randn([3], { device });
    refuses(() => clip(grad, grad, 1), "ERR_SHAPE", "clip: norm: expected [1], got [3]");
    refuses(
      () => clip(grad, globalNorm(grad), 0),
      "ERR_RANGE",
      "clip: maxNorm: expected a finite number above 0, got 0.000000",
    );
  });
});
