import assert from "node:assert/strict";
import { ropeTable } from "../../../ts/ops/index.js";
import { forEachDevice, refuses } from "../../support/index.js";

forEachDevice("ropeTable", (test, device) => {
  test("the angles of all axes stand side by side", async () => {
    const ids = [
      [0, 0, 0],
      [0, 3, 511],
      [2, 40, 7],
    ];
    const axesDims = [4, 6, 2];
    const { cos, sin } = ropeTable(ids, axesDims, 10000, { device });
    assert.deepEqual(cos.shape, [3, 6]);
    assert.deepEqual(sin.shape, [3, 6]);
    const angles = ids.flatMap((row) =>
      row.flatMap((position, a) =>
        Array.from(
          { length: axesDims[a]! / 2 },
          (_, j) => position * Math.pow(10000, -(2 * j) / axesDims[a]!),
        ),
      ),
    );
    assert.deepEqual([...(await cos.read())], angles.map(Math.cos).map(Math.fround));
    assert.deepEqual([...(await sin.read())], angles.map(Math.sin).map(Math.fround));
  });

  test("a flat array is taken as rows", async () => {
    const rows = ropeTable(
      [
        [1, 2],
        [3, 4],
      ],
      [4, 2],
      100,
      { device },
    );
    const flat = ropeTable(Int32Array.of(1, 2, 3, 4), [4, 2], 100, { device });
    assert.deepEqual(await flat.cos.read(), await rows.cos.read());
  });

  test("wrong sizes are named", () => {
    refuses(
      () => ropeTable([[1]], [3], 100),
      "ERR_RANGE",
      "ropeTable: axesDims: expected even sizes, got [3]",
    );
    refuses(
      () => ropeTable([[1, 2], [3]], [2, 2], 100),
      "ERR_SHAPE",
      "ropeTable: ids: expected rows of 2 positions, got one of 1",
    );
    refuses(
      () => ropeTable([], [2, 2], 100),
      "ERR_SHAPE",
      "ropeTable: ids: expected [L, 2], got 0 numbers",
    );
    refuses(
      () => ropeTable([[1, 2]], [2, 2], 0),
      "ERR_RANGE",
      "ropeTable: theta: expected a positive number, got 0",
    );
  });
});
