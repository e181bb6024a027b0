import { scale } from "../../../ts/ops/index.js";
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

forEachDevice("scale", (test, device) => {
  for (const [dtype, tolerance] of [
    ["float32", 2e-7],
    ["bfloat16", 2 ** -8],
  ] as const)
    test(`${dtype} forward is the definition`, async () => {
      const x = randn([3, 97], { dtype, device });
      const [x64] = await toFloat64(x);
      await assertRelative(
        scale(x, -1.75),
        x64.map((v) => -1.75 * v),
        tolerance,
      );
    });

  test("backward agrees with central differences, bfloat16 with float32", async () => {
    const x = randn([3, 97], { device });
    await checkGradients((v) => scale(v, -1.75), [x]);
    await checkBfloat16((v) => scale(v, -1.75), [x]);
  });

  test("the bits do not depend on the number of threads", async () => {
    const x = randn([50_001], { device });
    await assertSameBitsForThreads(() => [scale(x, -1.75)]);
  });

  test("numbers that are none, no element and other dtypes are named", () => {
    const x = randn([3], { device });
    refuses(() => scale(x, NaN), "ERR_RANGE", "scale: s: expected a finite number, got nan");
    refuses(
      () => scale(x, "2" as unknown as number),
      "ERR_TYPE",
      "scale: s: expected a number, got a string",
    );
    refuses(
      () => scale(randn([0], { device }), -1.75),
      "ERR_SHAPE",
      "scale: x: expected at least one element, got [0]",
    );
    refuses(
      () => scale(tensor([1], [1], { device, dtype: "int32" }), -1.75),
      "ERR_DTYPE",
      "scale: x: expected float32 or bfloat16, got int32",
    );
  });
});
