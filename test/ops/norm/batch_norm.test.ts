import { batchNorm, batchStatistics } from "../../../ts/ops/index.js";
import type { DType } from "../../../ts/tensor/dtype.js";
import assert from "node:assert/strict";
import {
  assertRelative,
  assertSameBitsForThreads,
  checkBfloat16,
  checkGradients,
  forEachDevice,
  randn,
  refuses,
  relativeError,
  toFloat64,
} from "../../support/index.js";

const [B, H, W, C] = [3, 5, 7, 19] as const;

/** Mean and variance of each channel, in float64. */
function moments(x: Float64Array) {
  const n = B * H * W;
  const mean = new Float64Array(C);
  x.forEach((v, i) => (mean[i % C]! += v / n));
  const variance = new Float64Array(C);
  x.forEach((v, i) => (variance[i % C]! += (v - mean[i % C]!) ** 2 / n));
  return { mean, rstd: variance.map((v) => 1 / Math.sqrt(v + 1e-5)) };
}

forEachDevice("batchNorm", (test, device) => {
  const inputs = (dtype: DType = "float32") =>
    [
      randn([B, H, W, C], { dtype, device, seed: 0 }),
      randn([C], { dtype, device, seed: 1 }),
      randn([C], { dtype, device, seed: 2 }),
    ] as const;

  test("forward is the definition, and the statistics are its own", async () => {
    for (const [dtype, tolerance] of [
      ["float32", 3e-7],
      ["bfloat16", 2 ** -8],
    ] as const) {
      const [x, w, b] = inputs(dtype);
      const [x64, w64, b64] = await toFloat64(x, w, b);
      const { mean, rstd } = moments(x64);
      const exact = x64.map(
        (v, i) => (v - mean[i % C]!) * rstd[i % C]! * w64[i % C]! + b64[i % C]!,
      );
      await assertRelative(batchNorm(x, w, b), exact, tolerance, dtype);
      const found = await batchStatistics(x, w, b);
      assert.ok(relativeError(found.mean, mean) < 1e-5);
      assert.ok(relativeError(found.rstd, rstd) < 1e-6);
    }
  });

  test("backward agrees with central differences, bfloat16 with float32", async () => {
    await checkGradients((x, w, b) => batchNorm(x, w, b), inputs());
    await checkBfloat16((x, w, b) => batchNorm(x, w, b), inputs());
  });

  test("the bits do not depend on the number of threads", () =>
    assertSameBitsForThreads(() => {
      const x = randn([16, 20, 20, 24], { device });
      const [w, b] = [randn([24], { device, seed: 1 }), randn([24], { device, seed: 2 })];
      return [batchNorm(x, w, b)];
    }));

  test("a wrong shape is named", () => {
    const [x, w] = inputs();
    refuses(
      () => batchNorm(x, w, randn([C - 1], { device })),
      "ERR_SHAPE",
      "groupNorm: b: expected [19], got [18]",
    );
  });
});
