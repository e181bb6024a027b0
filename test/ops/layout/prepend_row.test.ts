import assert from "node:assert/strict";
import { prependRow, reshape } from "../../../ts/ops/index.js";
import {
  assertSameBitsForThreads,
  checkBfloat16,
  checkGradients,
  forEachDevice,
  randn,
  refuses,
} from "../../support/index.js";

const [B, L, D] = [3, 2, 7];

forEachDevice("prependRow", (test, device) => {
  const inputs = () => [randn([B, L, D], { device }), randn([D], { device, seed: 1 })] as const;

  test("puts the row before every sample", async () => {
    const [x, row] = inputs();
    const [rows, first] = [await x.read(), await row.read()];
    const y = prependRow(x, row);
    assert.deepEqual(y.shape, [B, L + 1, D]);
    const expected = [0, 1, 2].flatMap((b) => [
      ...first,
      ...rows.subarray(b * L * D, (b + 1) * L * D),
    ]);
    assert.deepEqual([...(await y.read())], expected);
  });

  test("backward sums the row over the samples", async () => {
    await checkGradients((x, row) => prependRow(x, row), inputs());
    await checkGradients((x, row) => prependRow(x, reshape(row, [D])), inputs());
    await checkBfloat16((x, row) => prependRow(x, row), inputs());
  });

  test("the bits do not depend on the number of threads", async () => {
    const [x, row] = inputs();
    await assertSameBitsForThreads(() => [prependRow(x, row)]);
  });

  test("a wrong width, dtype or rank is named", () => {
    const [x, row] = inputs();
    refuses(
      () => prependRow(x, randn([D - 1], { device })),
      "ERR_SHAPE",
      "prependRow: row: expected [7], got [6]",
    );
    refuses(
      () => prependRow(x, randn([D], { device, dtype: "bfloat16" })),
      "ERR_DTYPE",
      "prependRow: row: expected float32, got bfloat16",
    );
    refuses(() => prependRow(row, row), "ERR_SHAPE", "prependRow: x: expected [B, L, D], got [7]");
    refuses(
      () => prependRow(randn([B, 0, D], { device }), row),
      "ERR_SHAPE",
      "prependRow: x: expected at least one element, got [3, 0, 7]",
    );
  });
});
