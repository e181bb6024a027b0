import assert from "node:assert/strict";
import { packLatent, patchify, unpackLatent } from "../../../ts/ops/index.js";
import {
  assertSameBitsForThreads,
  checkGradients,
  forEachDevice,
  randn,
  refuses,
} from "../../support/index.js";

forEachDevice("patchify", (test, device) => {
  for (const dtype of ["float32", "bfloat16"] as const)
    test(`${dtype}: every place is where the definition puts it`, async () => {
      const [B, H, W, C, p] = [2, 6, 9, 5, 3];
      const x = randn([B, H, W, C], { dtype, device });
      const y = patchify(x, p);
      assert.deepEqual(y.shape, [B, (H / p) * (W / p), C * p * p]);
      const [from, to] = [await x.read(), await y.read()];
      to.forEach((value, i) => {
        const channel = i % (C * p * p);
        const token = Math.floor(i / (C * p * p)) % ((H / p) * (W / p));
        const b = Math.floor(i / (C * H * W));
        const row = Math.floor(token / (W / p)) * p + (Math.floor(channel / p) % p);
        const column = (token % (W / p)) * p + (channel % p);
        const c = Math.floor(channel / (p * p));
        assert.equal(value, from[((b * H + row) * W + column) * C + c]);
      });
    });

  test("packLatent: channel = c*4 + (row%2)*2 + col%2; unpackLatent is its inverse", async () => {
    const x = randn([2, 4, 6, 16], { device });
    const packed = packLatent(x);
    assert.deepEqual(packed.shape, [2, 6, 64]);
    const [from, to] = [await x.read(), await packed.read()];
    // row 3, column 4, channel 7: token (3/2)*3 + 4/2 = 5, channel 7*4 + 2 + 0
    assert.equal(to[5 * 64 + 30], from[(3 * 6 + 4) * 16 + 7]);
    const back = unpackLatent(packed, { height: 4, width: 6 });
    assert.deepEqual(back.shape, x.shape);
    assert.deepEqual(await back.read(), from);
  });

  test("backward agrees with central differences", async () => {
    await checkGradients((x) => patchify(x, 3), [randn([1, 6, 3, 2], { device })]);
    await checkGradients((x) => packLatent(x), [randn([1, 6, 4, 3], { device })]);
    await checkGradients(
      (x) => unpackLatent(x, { height: 6, width: 4 }),
      [randn([1, 6, 12], { device })],
    );
  });

  test("the bits do not depend on the number of threads", async () => {
    const x = randn([2, 32, 32, 16], { device });
    await assertSameBitsForThreads(() => [packLatent(x)]);
  });

  test("a size that the patch does not divide is named", () => {
    refuses(
      () => patchify(randn([1, 4, 6, 3], { device }), 4),
      "ERR_SHAPE",
      "patchify: x: expected a height and a width that 4 divides, got [1, 4, 6, 3]",
    );
    refuses(
      () => patchify(randn([1, 4, 6, 3], { device }), 0),
      "ERR_RANGE",
      "patchify: patch: expected 1 to 2^30, got 0",
    );
    refuses(
      () => packLatent(randn([4, 6, 3], { device })),
      "ERR_SHAPE",
      "packLatent: latent: expected [B, H, W, C], got [4, 6, 3]",
    );
    refuses(
      () => unpackLatent(randn([1, 5, 8], { device }), { height: 4, width: 6 }),
      "ERR_SHAPE",
      "unpackLatent: packed: expected [any, 6, any], got [1, 5, 8]",
    );
    refuses(
      () => unpackLatent(randn([1, 6, 9], { device }), { height: 4, width: 6 }),
      "ERR_SHAPE",
      "unpackLatent: packed: expected channels that 4 divides, got [1, 6, 9]",
    );
    refuses(
      () => unpackLatent(randn([1, 6, 8], { device }), { height: 3, width: 8 }),
      "ERR_RANGE",
      "unpackLatent: height: expected a multiple of 2, got 3",
    );
    refuses(
      () => patchify(randn([0, 4, 6, 3], { device }), 2),
      "ERR_SHAPE",
      "patchify: x: expected at least one element, got [0, 4, 6, 3]",
    );
  });
});
