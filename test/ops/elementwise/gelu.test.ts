import assert from "node:assert/strict";
import { gelu, type GeluKind } from "../../../ts/ops/index.js";
import { tensor } from "../../../ts/tensor/tensor.js";
import {
  assertRelative,
  assertSameBitsForThreads,
  checkBfloat16,
  checkGradients,
  forEachDevice,
  randn,
  refuses,
  toFloat64,
} from "../../support/index.js";

/** erf by its series, which converges everywhere; exact enough in float64 for |x| below 5. */
function erf(x: number): number {
  let [term, total] = [x, x];
  for (let n = 1; Math.abs(term) > 1e-18; ++n) {
    term *= (-x * x) / n;
    total += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * total;
}

const definitions: Record<GeluKind, (v: number) => number> = {
  tanh: (v) => 0.5 * v * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (v + 0.044715 * v ** 3))),
  erf: (v) => 0.5 * v * (1 + erf(v / Math.SQRT2)),
  quick: (v) => v / (1 + Math.exp(-1.702 * v)),
};

forEachDevice("gelu", (test, device) => {
  for (const kind of ["tanh", "erf", "quick"] as const) {
    for (const [dtype, tolerance] of [
      ["float32", 3e-7],
      ["bfloat16", 2 ** -8],
    ] as const)
      test(`${kind} ${dtype} forward is the definition`, async () => {
        const x = randn([3, 97], { dtype, device, scale: 1.5 });
        const [x64] = await toFloat64(x);
        await assertRelative(gelu(x, kind), x64.map(definitions[kind]), tolerance);
      });

    test(`${kind} backward agrees with central differences, bfloat16 with float32`, async () => {
      const x = randn([3, 97], { device, scale: 2 });
      await checkGradients((v) => gelu(v, kind), [x]);
      await checkBfloat16((v) => gelu(v, kind), [x]);
    });

    test(`${kind} keeps large numbers, sends small ones to 0, and NaN stays NaN`, async () => {
      const [large, small, nan] = await gelu(
        tensor([1e4, -1e4, NaN], [3], { device }),
        kind,
      ).read();
      assert.equal(large, 1e4);
      assert.ok(Math.abs(small!) === 0);
      assert.ok(Number.isNaN(nan));
    });
  }

  test("the default is tanh", async () => {
    const x = randn([33], { device });
    assert.deepEqual(await gelu(x).read(), await gelu(x, "tanh").read());
  });

  test("the bits do not depend on the number of threads", async () => {
    const x = randn([50_001], { device });
    await assertSameBitsForThreads(() => [gelu(x, "tanh"), gelu(x, "erf"), gelu(x, "quick")]);
  });

  test("no element and other dtypes are named", () => {
    refuses(
      () => gelu(randn([0], { device }), "erf"),
      "ERR_SHAPE",
      "gelu: x: expected at least one element, got [0]",
    );
    refuses(
      () => gelu(tensor([1], [1], { device, dtype: "int32" })),
      "ERR_DTYPE",
      "gelu: x: expected float32 or bfloat16, got int32",
    );
  });
});
