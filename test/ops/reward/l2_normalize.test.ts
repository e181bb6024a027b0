import assert from "node:assert/strict";
import { l2Normalize } from "../../../ts/ops/index.js";
import { zeros } from "../../../ts/tensor/tensor.js";
import {
  assertRelative,
  assertSameBitsForThreads,
  checkBfloat16,
  checkGradients,
  forEachDevice,
  randn,
  refuses,
  toFloat64,
} from "../../support/index.js";

forEachDevice("l2Normalize", (test, device) => {
  for (const [dtype, tolerance] of [
    ["float32", 2e-7],
    ["bfloat16", 2 ** -8],
  ] as const)
    test(`${dtype} is the definition`, async () => {
      for (const [B, D] of [
        [1, 1],
        [3, 97],
        [5, 1024],
      ] as const) {
        const x = randn([B, D], { dtype, device, scale: 5 });
        const [x64] = await toFloat64(x);
        const exact = x64.map((v, i) => {
          const row = x64.subarray(i - (i % D), i - (i % D) + D);
          return v / Math.sqrt(row.reduce((t, w) => t + w * w, 0));
        });
        await assertRelative(l2Normalize(x), exact, tolerance);
      }
    });

  test("backward agrees with central differences", () =>
    checkGradients((x) => l2Normalize(x), [randn([3, 37], { device })]));

  test("bfloat16 agrees with float32", () =>
    checkBfloat16((x) => l2Normalize(x), [randn([3, 37], { device })]));

  test("a row of zeros stays zeros", async () => {
    assert.deepEqual([...(await l2Normalize(zeros([1, 3], { device })).read())], [0, 0, 0]);
  });

  test("the bits do not depend on the number of threads", () =>
    assertSameBitsForThreads(() => [l2Normalize(randn([97, 1021], { device }))]));

  test("each refusal names its argument", () => {
    refuses(
      () => l2Normalize(randn([3], { device })),
      "ERR_SHAPE",
      "l2Normalize: x: expected [B, D], got [3]",
    );
    refuses(
      () => l2Normalize(randn([3, 2], { device }), { eps: 0 }),
      "ERR_RANGE",
      "l2Normalize: eps: expected a finite number above 0, got 0.000000",
    );
  });
});
