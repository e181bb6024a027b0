import assert from "node:assert/strict";
import { fill } from "../../../ts/ops/index.js";
import { empty } from "../../../ts/tensor/tensor.js";
import { forEachDevice, refuses } from "../../support/index.js";

forEachDevice("fill", (test, device) => {
  for (const dtype of ["float32", "bfloat16"] as const)
    test(`${dtype}: every element, and no other`, async () => {
      const all = empty([100_003], { dtype, device });
      fill(all, 1);
      fill(all.viewOf(1, [100_001]), -0.5);
      const values = await all.read();
      assert.deepEqual([values[0], values.at(-1)], [1, 1]);
      assert.ok(values.subarray(1, -1).every((v) => v === -0.5));
    });

  test("no element and other dtypes are named", () => {
    refuses(
      () => {
        fill(empty([0], { device }), 1);
      },
      "ERR_SHAPE",
      "fill: t: expected at least one element, got [0]",
    );
    refuses(
      () => {
        fill(empty([2], { dtype: "int32", device }), 1);
      },
      "ERR_DTYPE",
      "fill: t: expected float32 or bfloat16, got int32",
    );
  });
});
