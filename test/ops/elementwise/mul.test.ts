import { mul } from "../../../ts/ops/index.js";
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

forEachDevice("mul", (test, device) => {
  for (const [dtype, tolerance] of [
    ["float32", 1e-7],
    ["bfloat16", 2 ** -8],
  ] as const)
    test(`${dtype} forward is the definition`, async () => {
      const [a, b] = [
        randn([3, 97], { dtype, device }),
        randn([3, 97], { dtype, device, seed: 1 }),
      ];
      const [a64, b64] = await toFloat64(a, b);
      await assertRelative(
        mul(a, b),
        a64.map((v, i) => v * b64[i]!),
        tolerance,
      );
    });

  test("backward agrees with central differences, bfloat16 with float32", async () => {
    const inputs = [randn([3, 97], { device }), randn([3, 97], { device, seed: 1 })];
    await checkGradients((a, b) => mul(a, b), inputs);
    await checkBfloat16((a, b) => mul(a, b), inputs);
  });

  test("a tensor times itself gets both gradients", async () => {
    await checkGradients((a) => mul(a, a), [randn([3, 97], { device })]);
  });

  test("the bits do not depend on the number of threads", async () => {
    const a = randn([50_001], { device });
    const b = randn([50_001], { device, seed: 1 });
    await assertSameBitsForThreads(() => [mul(a, b)]);
  });

  test("another shape, another dtype and no element are named", () => {
    const a = randn([2, 3], { device });
    refuses(
      () => mul(a, randn([3, 2], { device })),
      "ERR_SHAPE",
      "mul: b: expected [2, 3], got [3, 2]",
    );
    refuses(
      () => mul(a, randn([2, 3], { device, dtype: "bfloat16" })),
      "ERR_DTYPE",
      "mul: b: expected float32, got bfloat16",
    );
    refuses(
      () => mul(randn([0], { device }), randn([0], { device })),
      "ERR_SHAPE",
      "mul: a: expected at least one element, got [0]",
    );
  });
});
