import assert from "node:assert/strict";
import { backward } from "../../../ts/autograd/backward.js";
import { embedding, reshape } from "../../../ts/ops/index.js";
import {
  assertSameBitsForThreads,
  checkBfloat16,
  checkGradients,
  forEachDevice,
  leaf,
  randn,
  refuses,
} from "../../support/index.js";

const [V, D] = [11, 97];
const ids = [
  [0, 10, 3],
  [3, 3, 7],
];

forEachDevice("embedding", (test, device) => {
  test("takes rows, in every form of ids", async () => {
    const table = randn([V, D], { device });
    const rows = await table.read();
    const expected = ids.flat().flatMap((id) => [...rows.subarray(id * D, (id + 1) * D)]);
    for (const y of [
      embedding(table, ids),
      embedding(table, ids.flat(), [2, 3]),
      embedding(table, Int32Array.from(ids.flat()), [2, 3]),
    ]) {
      assert.deepEqual(y.shape, [2, 3, D]);
      assert.deepEqual([...(await y.read())], expected);
    }
    assert.deepEqual(embedding(table, [5]).shape, [1, D]);
  });

  test("backward adds up ids that come twice", async () => {
    await checkGradients((table) => embedding(table, ids), [randn([V, D], { device })]);
    await checkGradients(
      (table) => embedding(reshape(table, [V, D]), ids),
      [randn([1, V, D], { device })],
    );
    await checkBfloat16((table) => embedding(table, ids), [randn([V, D], { device })]);
  });

  test("the bits do not depend on the number of threads", async () => {
    const table = randn([V, 513], { device });
    const many = Array.from({ length: 400 }, (_, i) => (i * 7) % V);
    await assertSameBitsForThreads(() => {
      const weight = leaf(table);
      const y = embedding(weight, many);
      backward(y, randn(y.shape, { device, seed: 2 }));
      return [y, weight.grad!];
    });
  });

  test("an id that the table has no row for is named with its place", () => {
    const table = randn([V, D], { device });
    refuses(
      () => embedding(table, [0, 11, 3]),
      "ERR_RANGE",
      "embedding: ids: expected 0 to 10, got 11 at 1",
    );
    refuses(
      () => embedding(table, Int32Array.of(-1)),
      "ERR_RANGE",
      "embedding: ids: expected 0 to 10, got -1 at 0",
    );
    refuses(
      () => embedding(table, [2 ** 32]),
      "ERR_RANGE",
      "embedding: ids: expected 0 to 10, got 4294967296 at 0",
    );
    refuses(
      () => embedding(table, [1.5]),
      "ERR_RANGE",
      "embedding: ids: expected integers, got 1.500000",
    );
  });

  test("ids that do not fill their shape, none, and a table that is none are named", () => {
    const table = randn([V, D], { device });
    refuses(
      () => embedding(table, [1, 2, 3], [2, 2]),
      "ERR_SHAPE",
      "embedding: ids: expected as many as [2, 2], got 3",
    );
    refuses(
      () => embedding(table, [[1, 2], [3], [4, 5, 6]]),
      "ERR_SHAPE",
      "embedding: ids: expected lists of 2, got one of 1",
    );
    refuses(
      () => embedding(table, []),
      "ERR_SHAPE",
      "embedding: ids: expected at least one id, got none",
    );
    refuses(
      () => embedding(randn([V], { device }), [1]),
      "ERR_SHAPE",
      "embedding: table: expected [V, D], got [11]",
    );
  });
});
