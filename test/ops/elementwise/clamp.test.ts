import assert from "node:assert/strict";
import { backward } from "../../../ts/autograd/backward.js";
import { clamp } from "../../../ts/ops/index.js";
import { tensor } from "../../../ts/tensor/tensor.js";
import {
  assertSameBitsForThreads,
  checkBfloat16,
  checkGradients,
  forEachDevice,
  leaf,
  randn,
  refuses,
  uniforms,
} from "../../support/index.js";

forEachDevice("clamp", (test, device) => {
  for (const dtype of ["float32", "bfloat16"] as const)
    test(`${dtype} forward is the definition`, async () => {
      const x = randn([3, 97], { dtype, device });
      assert.deepEqual(
        await clamp(x, -0.5, 1).read(),
        (await x.read()).map((v) => Math.min(Math.max(v, -0.5), 1)),
      );
      assert.deepEqual(await clamp(x, -Infinity, Infinity).read(), await x.read());
    });

  test("the gradient is 1 on the bounds and 0 outside", async () => {
    const x = leaf(tensor([-2, -1, 0, 1, 2, NaN], [6], { device }));
    const y = clamp(x, -1, 1);
    backward(y, tensor([3, 3, 3, 3, 3, 3], [6], { device }));
    assert.deepEqual([...(await y.read())], [-1, -1, 0, 1, 1, NaN]);
    assert.deepEqual([...(await x.grad!.read())], [0, 3, 3, 3, 0, 0]);
  });

  test("backward agrees with central differences, bfloat16 with float32", async () => {
    const near = uniforms(291, 5, -0.9, 0.9);
    const x = tensor(
      near.map((v) => (Math.abs(v) > 0.5 ? v + 0.1 * Math.sign(v) : 0.8 * v)),
      [3, 97],
      { device },
    ); // away from the bounds, which a central difference would straddle
    await checkGradients((v) => clamp(v, -0.5, 0.5), [x]);
    await checkBfloat16((v) => clamp(v, -0.5, 0.5), [x]);
  });

  test("the bits do not depend on the number of threads", async () => {
    const x = randn([50_001], { device });
    await assertSameBitsForThreads(() => [clamp(x, 0, 1)]);
  });

  test("bounds the wrong way round, and none, are named", () => {
    const x = randn([3], { device });
    refuses(
      () => clamp(x, 1, 0),
      "ERR_RANGE",
      "clamp: lo: expected at most hi, 0.000000, got 1.000000",
    );
    refuses(
      () => clamp(x, NaN, 0),
      "ERR_RANGE",
      "clamp: lo: expected at most hi, 0.000000, got nan",
    );
    refuses(
      () => clamp(randn([0], { device }), 0, 1),
      "ERR_SHAPE",
      "clamp: x: expected at least one element, got [0]",
    );
    refuses(
      () => clamp(tensor([1], [1], { device, dtype: "uint8" }), 0, 1),
      "ERR_DTYPE",
      "clamp: x: expected float32 or bfloat16, got uint8",
    );
  });
});
