import { gaussianLogDensity } from "../../../ts/ops/index.js";
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

const std = [0.0948683, 0.7, 2];

forEachDevice("gaussianLogDensity", (test, device) => {
  const pair = (shape: number[], dtype: "float32" | "bfloat16" = "float32") =>
    [randn(shape, { dtype, device, seed: 1 }), randn(shape, { dtype, device, seed: 2 })] as const;

  for (const dtype of ["float32", "bfloat16"] as const)
    test(`${dtype} is the definition`, async () => {
      for (const shape of [[3], [3, 5, 7], [3, 40001]]) {
        const [x, mean] = pair(shape, dtype);
        const [x64, mean64] = await toFloat64(x, mean);
        const n = x64.length / 3;
        const exact = std.map((rounded, b) => {
          const s = Math.fround(rounded);
          let total = 0;
          for (let i = b * n; i < (b + 1) * n; ++i)
            total +=
              -((x64[i]! - mean64[i]!) ** 2) / (2 * s * s) -
              Math.log(s) -
              Math.log(2 * Math.PI) / 2;
          return total / n;
        });
        await assertRelative(gaussianLogDensity(x, mean, { std }), exact, 2e-7);
      }
    });

  test("backward agrees with central differences", () =>
    checkGradients((x, mean) => gaussianLogDensity(x, mean, { std }), pair([3, 5, 7])));

  test("bfloat16 agrees with float32", () =>
    checkBfloat16((x, mean) => gaussianLogDensity(x, mean, { std }), pair([3, 35])));

  test("the bits do not depend on the number of threads", () =>
    assertSameBitsForThreads(() => [gaussianLogDensity(...pair([3, 70_001]), { std })]));

  test("each refusal names its argument", () => {
    const [x, mean] = pair([3, 4]);
    refuses(
      () => gaussianLogDensity(x, mean, { std: [1, 2] }),
      "ERR_SHAPE",
      "gaussianLogDensity: std: expected 3 numbers, got 2",
    );
    refuses(
      () => gaussianLogDensity(x, mean, { std: [1, 0, 1] }),
      "ERR_RANGE",
      "gaussianLogDensity: std: expected finite numbers above 0, got 0.000000",
    );
    refuses(
      () => gaussianLogDensity(x, pair([3, 5])[0], { std }),
      "ERR_SHAPE",
      "gaussianLogDensity: mean: expected [3, 4], got [3, 5]",
    );
  });
});
