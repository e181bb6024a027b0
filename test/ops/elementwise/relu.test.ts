import assert from "node:assert/strict";
import { backward } from "../../../ts/autograd/backward.js";
import { relu } from "../../../ts/ops/index.js";
import { tensor } from "../../../ts/tensor/tensor.js";
import {
  assertSameBitsForThreads,
  checkBfloat16,
  checkGradients,
  forEachDevice,
  leaf,
  randn,
  refuses,
} from "../../support/index.js";

forEachDevice("relu", (test, device) => {
  for (const dtype of ["float32", "bfloat16"] as const)
    test(`${dtype} forward is the definition`, async () => {
      const x = randn([3, 97], { dtype, device });
      assert.deepEqual(
        await relu(x).read(),
        (await x.read()).map((v) => (v > 0 ? v : 0)),
      );
    });

  test("the gradient at 0 is 0; NaN stays NaN", async () => {
    const x = leaf(tensor([-1, 0, 2, NaN], [4], { device }));
    const y = relu(x);
    backward(y, tensor([1, 1, 1, 1], [4], { device }));
    assert.deepEqual([...(await y.read())], [0, 0, 2, NaN]);
    assert.deepEqual([...(await x.grad!.read())].slice(0, 3), [0, 0, 1]);
  });

  test("backward agrees with central differences, bfloat16 with float32", async () => {
    const x = randn([3, 97], { device });
    // Away from the kink, which a central difference would straddle.
    const away = tensor(
      (await x.read()).map((v) => v + 0.1 * Math.sign(v)),
      [3, 97],
      { device },
    );
    await checkGradients((v) => relu(v), [away]);
    await checkBfloat16((v) => relu(v), [away]);
  });

  test("the bits do not depend on the number of threads", async () => {
    const x = randn([50_001], { device });
    await assertSameBitsForThreads(() => [relu(x)]);
  });

  test("no element and other dtypes are named", () => {
    refuses(
      () => relu(randn([2, 0], { device })),
      "ERR_SHAPE",
      "relu: x: expected at least one element, got [2, 0]",
    );
    refuses(
      () => relu(tensor([1], [1], { device, dtype: "uint8" })),
      "ERR_DTYPE",
      "relu: x: expected float32 or bfloat16, got uint8",
    );
  });
});
