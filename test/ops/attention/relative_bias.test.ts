import assert from "node:assert/strict";
import { relativeBias } from "../../../ts/ops/index.js";
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
import { backward } from "../../../ts/autograd/backward.js";

/** The buckets of T5 as a table: where those past the single distances begin. */
function bucketOf(offset: number): number {
  const n = Math.abs(offset);
  const starts = [8, 12, 16, 23, 32, 46, 64, 91];
  return (offset > 0 ? 16 : 0) + (n < 8 ? n : 7 + starts.filter((start) => start <= n).length);
}

/** The same for any sizes, by the definition's logarithm. */
function bucketByFormula(offset: number, buckets: number, maxDistance: number): number {
  const [half, exact, n] = [buckets / 2, buckets / 4, Math.abs(offset)];
  const far = exact + (Math.log(n / exact) / Math.log(maxDistance / exact)) * (half - exact);
  return (offset > 0 ? half : 0) + (n < exact ? n : Math.min(half - 1, Math.floor(far)));
}

forEachDevice("relativeBias", (test, device) => {
  const numbered = (buckets: number) =>
    tensor(
      Float32Array.from({ length: buckets * 2 }, (_, i) => i),
      [buckets, 2],
      { device },
    );

  test("every offset has T5's bucket", async () => {
    const L = 150;
    const bias = await relativeBias(numbered(32), L).read();
    for (const n of [0, 1])
      for (let i = 0; i < L; ++i)
        for (let j = 0; j < L; ++j)
          assert.equal(bias[(n * L + i) * L + j], bucketOf(j - i) * 2 + n, `offset ${j - i}`);
  });

  test("other sizes follow the formula", async () => {
    const L = 61;
    const options = { buckets: 12, maxDistance: 50 };
    const bias = await relativeBias(numbered(12), L, options).read();
    for (let i = 0; i < L; ++i)
      for (let j = 0; j < L; ++j)
        assert.equal(bias[i * L + j], bucketByFormula(j - i, 12, 50) * 2, `offset ${j - i}`);
  });

  test("backward agrees with central differences", async () => {
    const table = randn([32, 3], { device });
    await checkGradients((t) => relativeBias(t, 37), [table]);
    await checkBfloat16((t) => relativeBias(t, 37), [table]);
  });

  test("the bits do not depend on the number of threads", async () => {
    const table = randn([32, 5], { device });
    await assertSameBitsForThreads(() => {
      const t = leaf(table);
      const bias = relativeBias(t, 70);
      backward(bias, randn(bias.shape, { device, seed: 1 }));
      return [bias, t.grad!];
    });
  });

  test("wrong sizes are named", () => {
    refuses(
      () => relativeBias(numbered(16), 5),
      "ERR_SHAPE",
      "relativeBias: table: expected [32, N], got [16, 2]",
    );
    refuses(
      () => relativeBias(numbered(32), 0),
      "ERR_SHAPE",
      "relativeBias: L: expected at least one element, got [2, 0, 0]",
    );
    refuses(
      () => relativeBias(numbered(6), 5, { buckets: 6 }),
      "ERR_RANGE",
      "relativeBias: buckets: expected a multiple of 4, got 6",
    );
    refuses(
      () => relativeBias(numbered(32), 5, { maxDistance: 8 }),
      "ERR_RANGE",
      "relativeBias: maxDistance: expected above 8, got 8",
    );
  });
});
