import assert from "node:assert/strict";
import { cast } from "../../../ts/ops/index.js";
import { toBFloat16Bits } from "../../../ts/tensor/dtype.js";
import { tensor } from "../../../ts/tensor/tensor.js";
import {
  assertSameBitsForThreads,
  checkGradients,
  forEachDevice,
  randn,
  refuses,
} from "../../support/index.js";

forEachDevice("cast", (test, device) => {
  test("rounds to nearest even, through ties, infinities, NaN and subnormal numbers", async () => {
    const bits = [
      0x3f800000, 0x3f808000, 0x3f818000, 0x3f808001, 0x3f807fff, 0x7f7fffff, 0x7f800000,
      0xff800000, 0x7fc00000, 0x7f800001, 0xffffffff, 0x00000001, 0x00008000, 0x00018000,
      0x80000000, 0x007fffff, 0x7f7f7fff, 0xbf818000, 0x00008001,
    ];
    const values = new Float32Array(Uint32Array.from(bits).buffer);
    const half = cast(tensor(values, [bits.length], { device }), "bfloat16");
    const got = [...new Uint16Array(await half.readBytes())];
    bits.forEach((u, i) => {
      // A NaN keeps its sign and upper bits, and becomes quiet.
      const nan = (u & 0x7fffffff) > 0x7f800000;
      const expected = nan ? (u >>> 16) | 0x40 : toBFloat16Bits(values[i]!);
      assert.equal(got[i], expected, `0x${u.toString(16)}`);
    });
  });

  test("to float32 and back is exact", async () => {
    const x = randn([3, 97], { device, dtype: "bfloat16" });
    assert.deepEqual(await cast(cast(x, "float32"), "bfloat16").read(), await x.read());
    assert.equal(cast(x, "bfloat16"), x);
  });

  test("the gradient is cast back", async () => {
    // The output is bfloat16: the central difference sees its rounding, 2^-9 of a step of 1/2.
    await checkGradients((x) => cast(x, "bfloat16"), [randn([50, 97], { device })], {
      step: 0.5,
      tolerance: 2e-2,
    });
  });

  test("the bits do not depend on the number of threads", async () => {
    const x = randn([100_001], { device });
    await assertSameBitsForThreads(() => [cast(x, "bfloat16")]);
  });

  test("other dtypes and no element are named", () => {
    refuses(
      () => cast(tensor([1], [1], { device, dtype: "int32" }), "float32"),
      "ERR_DTYPE",
      "cast: x: expected float32 or bfloat16, got int32",
    );
    refuses(
      () => cast(randn([2], { device }), "uint8"),
      "ERR_DTYPE",
      "cast: dtype: expected float32 or bfloat16, got uint8",
    );
    refuses(
      () => cast(randn([0], { device }), "bfloat16"),
      "ERR_SHAPE",
      "cast: x: expected at least one element, got [0]",
    );
  });
});
