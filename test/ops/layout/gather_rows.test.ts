import assert from "node:assert/strict";
import { gatherRows } from "../../../ts/ops/index.js";
import {
  assertSameBitsForThreads,
  checkBfloat16,
  checkGradients,
  forEachDevice,
  randn,
  refuses,
} from "../../support/index.js";

const [B, L, D] = [3, 4, 7];

forEachDevice("gatherRows", (test, device) => {
  test("takes one row a sample", async () => {
    const x = randn([B, L, D], { device });
    const values = await x.read();
    const y = gatherRows(x, [3, 0, 3]);
    assert.deepEqual(y.shape, [B, D]);
    const row = (b: number, l: number) => [...values.subarray((b * L + l) * D).subarray(0, D)];
    assert.deepEqual([...(await y.read())], [...row(0, 3), ...row(1, 0), ...row(2, 3)]);
  });

  test("backward is zero in the other rows", async () => {
    await checkGradients((x) => gatherRows(x, [1, 0, 3]), [randn([B, L, D], { device })]);
    await checkBfloat16((x) => gatherRows(x, [1, 0, 3]), [randn([B, L, D], { device })]);
  });

  test("the bits do not depend on the number of threads", async () => {
    const x = randn([B, L, D], { device });
    await assertSameBitsForThreads(() => [gatherRows(x, [1, 1, 1])]);
  });

  test("a row that is not there, another count and another rank are named", () => {
    const x = randn([B, L, D], { device });
    refuses(
      () => gatherRows(x, [0, 4, 0]),
      "ERR_RANGE",
      "gatherRows: index: expected 0 to 3, got 4",
    );
    refuses(
      () => gatherRows(x, [0, -1, 0]),
      "ERR_RANGE",
      "gatherRows: index: expected 0 to 3, got -1",
    );
    refuses(
      () => gatherRows(x, [0, 1]),
      "ERR_SHAPE",
      "gatherRows: index: expected 3 numbers, one a sample, got 2",
    );
    refuses(
      () => gatherRows(randn([B, D], { device }), [0, 0, 0]),
      "ERR_SHAPE",
      "gatherRows: x: expected [B, L, D], got [3, 7]",
    );
  });
});
