import assert from "node:assert/strict";
import { slice } from "../../../ts/ops/index.js";
import {
  assertSameBitsForThreads,
  checkBfloat16,
  checkGradients,
  forEachDevice,
  randn,
  refuses,
} from "../../support/index.js";

forEachDevice("slice", (test, device) => {
  for (const [dim, start, length] of [
    [0, 1, 2],
    [1, 0, 3],
    [-2, 2, 2],
    [-1, 4, 1],
    [2, 0, 5],
  ] as const)
    test(`${length} from ${start} along dimension ${dim}`, async () => {
      const x = randn([3, 4, 5], { device });
      const y = slice(x, dim, start, length);
      const at = dim < 0 ? dim + 3 : dim;
      assert.deepEqual(
        y.shape,
        [3, 4, 5].map((n, i) => (i === at ? length : n)),
      );
      const inside = (_: number, flat: number): boolean => {
        const index = [Math.floor(flat / 20), Math.floor(flat / 5) % 4, flat % 5][at]!;
        return index >= start && index < start + length;
      };
      assert.deepEqual(await y.read(), (await x.read()).filter(inside));
    });

  test("a part in one piece shares memory", async () => {
    const x = randn([1, 4, 5], { device });
    const y = slice(x, 1, 1, 2);
    x.zero();
    assert.deepEqual(await y.read(), new Float32Array(10));
  });

  test("backward is zero outside the part", async () => {
    for (const [dim, start, length] of [
      [0, 1, 1],
      [1, 0, 3],
      [1, 3, 1],
      [2, 1, 3],
    ] as const)
      await checkGradients((x) => slice(x, dim, start, length), [randn([3, 4, 5], { device })]);
    await checkBfloat16((x) => slice(x, 1, 1, 2), [randn([3, 4, 5], { device })]);
  });

  test("the bits do not depend on the number of threads", async () => {
    const x = randn([2, 300, 65], { device });
    await assertSameBitsForThreads(() => [slice(x, 1, 7, 200), slice(x, 2, 3, 31)]);
  });

  test("what x does not have is named", () => {
    const x = randn([2, 3], { device });
    refuses(
      () => slice(x, -3, 0, 1),
      "ERR_RANGE",
      "slice: dim: expected a dimension of [2, 3], got -3",
    );
    refuses(() => slice(x, 1, 3, 1), "ERR_RANGE", "slice: start: expected 0 to 2, got 3");
    refuses(() => slice(x, 1, -1, 1), "ERR_RANGE", "slice: start: expected 0 to 2, got -1");
    refuses(() => slice(x, 1, 1, 3), "ERR_RANGE", "slice: length: expected 1 to 2, got 3");
    refuses(() => slice(x, 1, 1, 0), "ERR_RANGE", "slice: length: expected 1 to 2, got 0");
    refuses(
      () => slice(randn([0, 3], { device }), 0, 0, 1),
      "ERR_SHAPE",
      "slice: x: expected at least one element, got [0, 3]",
    );
  });
});
