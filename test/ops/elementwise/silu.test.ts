import assert from "node:assert/strict";
import { silu } from "../../../ts/ops/index.js";
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

const definition = (x: Float64Array) => x.map((v) => v / (1 + Math.exp(-v)));

forEachDevice("silu", (test, device) => {
  for (const [dtype, tolerance] of [
    ["float32", 3e-7],
    ["bfloat16", 2 ** -8],
  ] as const)
    test(`${dtype} forward is the definition`, async () => {
      const x = randn([3, 97], { dtype, device, scale: 4 });
      await assertRelative(silu(x), definition(...(await toFloat64(x))), tolerance);
    });

  test("the far ends are x and 0, and NaN stays NaN", async () => {
    const x = tensor([1e4, -1e4, Infinity, NaN, 0], [5], { device });
    assert.deepEqual([...(await silu(x).read())], [1e4, -0, Infinity, NaN, 0]);
  });

  test("backward agrees with central differences, bfloat16 with float32", async () => {
    const x = randn([3, 97], { device, scale: 2 });
    await checkGradients((v) => silu(v), [x]);
    await checkBfloat16((v) => silu(v), [x]);
  });

  test("the bits do not depend on the number of threads", async () => {
    const x = randn([50_001], { device });
    await assertSameBitsForThreads(() => [silu(x)]);
  });

  test("no element and other dtypes are named", () => {
    refuses(
      () => silu(randn([0], { device })),
      "ERR_SHAPE",
      "silu: x: expected at least one element, got [0]",
    );
    refuses(
      () => silu(tensor([1], [1], { device, dtype: "int32" })),
      "ERR_DTYPE",
      "silu: x: expected float32 or bfloat16, got int32",
    );
  });
});
