import { affine } from "../../../ts/ops/index.js";
import { tensor } from "../../../ts/tensor/tensor.js";
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

forEachDevice("affine", (test, device) => {
  for (const [dtype, tolerance] of [
    ["float32", 2e-7],
    ["bfloat16", 2 ** -8],
  ] as const)
    test(`${dtype} forward is the definition`, async () => {
      const x = randn([3, 97], { dtype, device });
      const [x64] = await toFloat64(x);
      await assertRelative(
        affine(x, 2.5, -0.25),
        x64.map((v) => 2.5 * v - 0.25),
        tolerance,
      );
    });

  test("backward agrees with central differences, bfloat16 with float32", async () => {
    const x = randn([3, 97], { device });
    await checkGradients((v) => affine(v, 2.5, -0.25), [x]);
    await checkBfloat16((v) => affine(v, 2.5, -0.25), [x]);
  });

  test("the bits do not depend on the number of threads", async () => {
    const x = randn([50_001], { device });
    await assertSameBitsForThreads(() => [affine(x, 2.5, -0.25)]);
  });

  test("numbers that are none, no element and other dtypes are named", () => {
    const x = randn([3], { device });
    refuses(() => affine(x, NaN, 0), "ERR_RANGE", "affine: a: expected a finite number, got nan");
    refuses(
      () => affine(x, 1, Infinity),
      "ERR_RANGE",
      "affine: b: expected a finite number, got inf",
    );
    refuses(
      () => affine(randn([0], { device }), 2.5, -0.25),
      "ERR_SHAPE",
      "affine: x: expected at least one element, got [0]",
    );
    refuses(
      () => affine(tensor([1], [1], { device, dtype: "int32" }), 2.5, -0.25),
      "ERR_DTYPE",
      "affine: x: expected float32 or bfloat16, got int32",
    );
  });
});
