import assert from "node:assert/strict";
import { backward } from "../../../ts/autograd/backward.js";
import { add, concat, split } from "../../../ts/ops/index.js";
import { checkGradients, forEachDevice, leaf, randn, refuses } from "../../support/index.js";

forEachDevice("split", (test, device) => {
  for (const dim of [0, 1, 2, -1])
    test(`along ${dim} is what concat undoes`, async () => {
      const x = randn([4, 6, 2], { device, seed: 1 });
      const parts = split(x, dim, 2);
      assert.equal(parts.length, 2);
      assert.equal(parts[0]!.dim(dim), x.dim(dim) / 2);
      assert.deepEqual(await concat(parts, dim).read(), await x.read());
    });

  test("parts of unlike sizes each get their gradient, and an unused one zeros", async () => {
    const x = leaf(randn([2, 7, 3], { device, seed: 2 }));
    const [, middle, last] = split(x, 1, [1, 4, 2]);
    assert.deepEqual(middle!.shape, [2, 4, 3]);
    backward(last!, add(last!.detach(), last!.detach()));
    const gradient = await x.grad!.read();
    const values = await x.read();
    assert.ok(gradient.slice(0, 15).every((g) => g === 0));
    assert.deepEqual(
      gradient.slice(15, 21),
      values.slice(15, 21).map((v) => 2 * v),
    );
  });

  test("backward agrees with central differences", async () => {
    await checkGradients(
      (x) => {
        const [a, b] = split(x, 1, 2);
        return add(a!, b!);
      },
      [randn([3, 8], { device, seed: 3 })],
    );
  });

  test("parts that do not add up are refused", () => {
    const x = randn([2, 7], { device });
    refuses(
      () => split(x, 1, [3, 3]),
      "ERR_SHAPE",
      "split: parts: expected sizes that add up to 7, got [3, 3]",
    );
    refuses(
      () => split(x, 1, 2),
      "ERR_SHAPE",
      "split: parts: expected sizes that add up to 7, got [3.5, 3.5]",
    );
  });
});
