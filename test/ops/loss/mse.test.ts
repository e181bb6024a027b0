import { mse } from "../../../ts/ops/index.js";
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

forEachDevice("mse", (test, device) => {
  const pair = (shape: number[], dtype: "float32" | "bfloat16" = "float32") =>
    [randn(shape, { dtype, device, seed: 1 }), randn(shape, { dtype, device, seed: 2 })] as const;

  for (const dtype of ["float32", "bfloat16"] as const)
    test(`${dtype} is the definition`, async () => {
      for (const shape of [[1], [3, 5, 7], [5, 13109]]) {
        const [a, b] = pair(shape, dtype);
        const [a64, b64] = await toFloat64(a, b);
        const exact = a64.reduce((t, v, i) => t + (v - b64[i]!) ** 2, 0) / a64.length;
        await assertRelative(mse(a, b), [exact], 2e-7);
      }
    });

  test("backward agrees with central differences", () =>
    checkGradients((a, b) => mse(a, b), pair([3, 37])));

  test("bfloat16 agrees with float32", () => checkBfloat16((a, b) => mse(a, b), pair([3, 37])));

  test("the bits do not depend on the number of threads", () =>
    assertSameBitsForThreads(() => [mse(...pair([100_003]))]));

  test("each refusal names its argument", () => {
    const [a, b] = pair([2, 3]);
    refuses(() => mse(a, pair([3, 2])[1]), "ERR_SHAPE", "mse: b: expected [2, 3], got [3, 2]");
    refuses(
      () => mse(a, pair([2, 3], "bfloat16")[1]),
      "ERR_DTYPE",
      "mse: b: expected float32, got bfloat16",
    );
    refuses(
      () => mse(zeros([0], { device }), b),
      "ERR_SHAPE",
      "mse: a: expected at least one element, got [0]",
    );
  });
});
