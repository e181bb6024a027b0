import assert from "node:assert/strict";
import { concat } from "../../../ts/ops/index.js";
import { tensor } from "../../../ts/tensor/tensor.js";
import {
  assertSameBitsForThreads,
  checkBfloat16,
  checkGradients,
  forEachDevice,
  randn,
  refuses,
} from "../../support/index.js";

forEachDevice("concat", (test, device) => {
  for (const [dim, sizes] of [
    [0, [2, 1, 3]],
    [1, [1, 5, 2]],
    [-1, [7, 3, 1]],
  ] as const)
    test(`along dimension ${dim} every element finds its place`, async () => {
      const at = dim < 0 ? dim + 3 : dim;
      const shapes = sizes.map((size) => [3, 4, 5].map((n, i) => (i === at ? size : n)));
      const xs = shapes.map((shape, i) => randn(shape, { device, seed: i }));
      const y = concat(xs, dim);
      const full = [3, 4, 5].map((n, i) => (i === at ? sizes[0] + sizes[1] + sizes[2] : n));
      assert.deepEqual(y.shape, full);
      const parts = await Promise.all(xs.map((x) => x.read()));
      const got = await y.read();
      got.forEach((value, flat) => {
        const index = [
          Math.floor(flat / (full[1]! * full[2]!)),
          Math.floor(flat / full[2]!) % full[1]!,
          flat % full[2]!,
        ];
        let part = 0;
        while (index[at]! >= sizes[part]!) index[at]! -= sizes[part++]!;
        const [, b, c] = shapes[part]!;
        assert.equal(value, parts[part]![(index[0]! * b! + index[1]!) * c! + index[2]!]);
      });
    });

  test("int32 and long rows pass through", async () => {
    const ids = Int32Array.from({ length: 100_003 }, (_, i) => i);
    const x = tensor(ids, [1, ids.length], { dtype: "int32", device });
    const y = concat([x, tensor([7], [1, 1], { dtype: "int32", device })], 1);
    assert.deepEqual(await y.read(), Float32Array.of(...ids, 7));
  });

  test("backward cuts the gradient apart", async () => {
    const inputs = [randn([2, 3, 5], { device }), randn([2, 4, 5], { device, seed: 1 })];
    await checkGradients((a, b) => concat([a, b, a], 1), inputs);
    await checkBfloat16((a, b) => concat([a, b], 1), inputs);
  });

  test("the bits do not depend on the number of threads", async () => {
    const x = randn([2, 300, 65], { device });
    await assertSameBitsForThreads(() => [concat([x, x], 1), concat([x, x], 2)]);
  });

  test("nothing, other sizes, other dtypes and a missing dimension are named", () => {
    const x = randn([2, 3], { device });
    refuses(() => concat([], 0), "ERR_SHAPE", "concat: xs: expected at least one tensor, got none");
    refuses(
      () => concat([x, randn([3, 3], { device })], 1),
      "ERR_SHAPE",
      "concat: xs[1]: expected [2, 3] but for dimension 1, got [3, 3]",
    );
    refuses(
      () => concat([x, randn([2, 3, 1], { device })], 1),
      "ERR_SHAPE",
      "concat: xs[1]: expected [2, 3] but for dimension 1, got [2, 3, 1]",
    );
    refuses(
      () => concat([x, randn([2, 3], { device, dtype: "bfloat16" })], 1),
      "ERR_DTYPE",
      "concat: xs[1]: expected float32, got bfloat16",
    );
    refuses(
      () => concat([x, randn([2, 0], { device })], 1),
      "ERR_SHAPE",
      "concat: xs[1]: expected at least one element, got [2, 0]",
    );
    refuses(
      () => concat([x, x], 2),
      "ERR_RANGE",
      "concat: dim: expected a dimension of [2, 3], got 2",
    );
  });
});
