import { add } from "../../../ts/ops/index.js";
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

forEachDevice("add", (test, device) => {
  for (const [dtype, tolerance] of [
    ["float32", 1e-7],
    ["bfloat16", 2 ** -8],
  ] as const)
    test(`${dtype} forward is the definition`, async () => {
      const a = randn([3, 97], { dtype, device });
      const b = randn([3, 97], { dtype, device, seed: 1 });
      const [a64, b64] = await toFloat64(a, b);
      await assertRelative(
        add(a, b),
        a64.map((v, i) => v + b64[i]!),
        tolerance,
      );
    });

  test("backward agrees with central differences, bfloat16 with float32", async () => {
    const inputs = [randn([3, 97], { device }), randn([3, 97], { device, seed: 1 })];
    await checkGradients((a, b) => add(a, b), inputs);
    await checkGradients((a) => add(a, a), inputs.slice(0, 1));
    await checkBfloat16((a, b) => add(a, b), inputs);
  });

  test("the bits do not depend on the number of threads", async () => {
    const a = randn([100_001], { device });
    await assertSameBitsForThreads(() => [add(a, a)]);
  });

  test("another shape, another dtype and no element are named", () => {
    const a = randn([2, 3], { device });
    refuses(
      () => add(a, randn([3, 2], { device })),
      "ERR_SHAPE",
      "add: b: expected [2, 3], got [3, 2]",
    );
    refuses(
      () => add(a, randn([2, 3], { device, dtype: "bfloat16" })),
      "ERR_DTYPE",
      "add: b: expected float32, got bfloat16",
    );
    refuses(
      () => add(randn([0], { device }), randn([0], { device })),
      "ERR_SHAPE",
      "add: a: expected at least one element, got [0]",
    );
  });
});
