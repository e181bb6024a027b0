import assert from "node:assert/strict";
import { joinMaster, splitMaster } from "../../../ts/ops/index.js";
import { tensorFromBytes, zeros } from "../../../ts/tensor/tensor.js";
import { forEachDevice, refuses, uniforms } from "../../support/index.js";

forEachDevice("splitMaster", (test, device) => {
  const half = (n: number) => zeros([n], { dtype: "bfloat16", device });
  const rest = (n: number) => zeros([n, 2], { dtype: "uint8", device });

  test("any 32 bits come back, and the weight is the master rounded, ties away", async () => {
    const n = 50_000;
    const bits = Uint32Array.from(uniforms(n, 1, 0, 2 ** 32));
    bits.set([0, 0x80000000, 0x3f800000, 0x3f808000, 0x3f807fff, 0xbf808000, 1, 0x7f7fffff]);
    const [master, weights, remainder] = [tensorFromBytes(bits, [n], { device }), half(n), rest(n)];
    splitMaster(master, weights, remainder);
    const back = new Uint32Array(await joinMaster(weights, remainder).readBytes());
    assert.deepEqual(back, bits);
    const upper = new Uint16Array(await weights.readBytes());
    assert.deepEqual(
      upper,
      Uint16Array.from(bits, (b) => (b + 0x8000) >>> 16),
    );
  });

  test("without a remainder the weight is the master", async () => {
    const bits = Uint16Array.from(uniforms(1001, 2, 0, 65536));
    const weights = tensorFromBytes(bits, [1001], { dtype: "bfloat16", device });
    const master = new Uint32Array(await joinMaster(weights, rest(1001)).readBytes());
    assert.deepEqual(
      master,
      Uint32Array.from(bits, (b) => b * 65536),
    );
  });

  test("each refusal names its argument", () => {
    const master = zeros([4], { device });
    refuses(
      () => splitMaster(master, half(3), rest(4)),
      "ERR_SHAPE",
      "splitMaster: weights: expected [4], got [3]",
    );
    refuses(
      () => joinMaster(half(4), rest(3)),
      "ERR_SHAPE",
      "joinMaster: remainder: expected [4, 2], got [3, 2]",
    );
    refuses(
      () => joinMaster(master, rest(4)),
      "ERR_DTYPE",
      "joinMaster: weights: expected bfloat16, got float32",
    );
  });
});
