import { backward } from "../../../ts/autograd/backward.js";
import { reshape, rmsNorm } from "../../../ts/ops/index.js";
import type { DType } from "../../../ts/tensor/dtype.js";
import { tensor } from "../../../ts/tensor/tensor.js";
import {
  assertRelative,
  assertSameBitsForThreads,
  checkBfloat16,
  checkGradients,
  forEachDevice,
  leaf,
  randn,
  refuses,
  toFloat64,
} from "../../support/index.js";

const [B, L, width] = [2, 5, 97]; // odd on purpose: no block size divides them

/** The definition in float64. */
function definition(x: Float64Array, w?: Float64Array): Float64Array {
  const D = w?.length ?? width;
  const y = new Float64Array(x.length);
  for (let begin = 0; begin < x.length; begin += D) {
    const row = x.subarray(begin, begin + D);
    const meanSquare = row.reduce((sum, v) => sum + v * v, 0) / D;
    row.forEach((value, d) => {
      y[begin + d] = (value / Math.sqrt(meanSquare + 1e-6)) * (w?.[d] ?? 1);
    });
  }
  return y;
}

forEachDevice("rmsNorm", (test, device) => {
  const inputs = (dtype: DType) =>
    [
      randn([B, L, width], { dtype, device, seed: 0 }),
      randn([width], { dtype, device, seed: 1 }),
    ] as const;

  for (const [dtype, tolerance] of [
    ["float32", 3e-7],
    ["bfloat16", 2 ** -8],
  ] as const)
    test(`${dtype} forward is the definition, with and without weight`, async () => {
      const [x, w] = inputs(dtype);
      const [x64, w64] = await toFloat64(x, w);
      await assertRelative(rmsNorm(x, w), definition(x64, w64), tolerance);
      await assertRelative(rmsNorm(x), definition(x64), tolerance);
    });

  for (const [rows, D] of [
    [270, 72],
    [5, 1104],
    [3, 2304],
    [2, 4104],
  ] as const)
    test(`${rows} rows of ${D}: many at once, and divided by packs`, async () => {
      for (const [dtype, tolerance] of [
        ["float32", 5e-7],
        ["bfloat16", 2 ** -8],
      ] as const) {
        const x = randn([rows, D], { dtype, device, seed: 0 });
        const w = randn([D], { dtype, device, seed: 1 });
        await assertRelative(
          rmsNorm(x, w),
          definition(...(await toFloat64(x, w))),
          tolerance,
          dtype,
        );
        if (dtype === "bfloat16") continue;
        await checkGradients((x, w) => rmsNorm(x, w), [x, w]);
        await checkBfloat16((x, w) => rmsNorm(x, w), [x, w]);
      }
    });

  test("T5's large residuals stay exact", async () => {
    const x = randn([B, L, width], { device, scale: 1e6 });
    await assertRelative(rmsNorm(x), definition(...(await toFloat64(x))), 3e-7);
  });

  test("backward agrees with central differences", async () => {
    await checkGradients((x, w) => rmsNorm(x, w), inputs("float32"));
    await checkGradients((x) => rmsNorm(x), inputs("float32").slice(0, 1));
    const [x, w] = [randn([B, L, width], { device }), randn([1, width], { device, seed: 3 })];
    await checkGradients((a, b) => rmsNorm(a, reshape(b, [width])), [x, w]);
  });

  test("bfloat16 agrees with float32", async () => {
    await checkBfloat16((x, w) => rmsNorm(x, w), inputs("float32"));
  });

  test("the bits do not depend on the number of threads", async () => {
    const [x, w] = [randn([2, 300, 65], { device }), randn([65], { device })];
    await assertSameBitsForThreads(() => {
      const [xs, ws] = [leaf(x), leaf(w)];
      const y = rmsNorm(xs, ws);
      backward(y, x);
      return [y, xs.grad!, ws.grad!];
    });
  });

  test("a wrong shape, dtype, size or eps is named", () => {
    const [x, w] = inputs("float32");
    refuses(
      () => rmsNorm(x, randn([1, width], { device })),
      "ERR_SHAPE",
      "rmsNorm: w: expected [97], got [1, 97]",
    );
    refuses(
      () => rmsNorm(x, randn([width], { device, dtype: "bfloat16" })),
      "ERR_DTYPE",
      "rmsNorm: w: expected float32, got bfloat16",
    );
    refuses(
      () => rmsNorm(tensor([1, 2], [2], { dtype: "uint8", device })),
      "ERR_DTYPE",
      "rmsNorm: x: expected float32 or bfloat16, got uint8",
    );
    refuses(
      () => rmsNorm(randn([0, width], { device })),
      "ERR_SHAPE",
      "rmsNorm: x: expected at least one element, got [0, 97]",
    );
    refuses(
      () => rmsNorm(x, w, { eps: -1 }),
      "ERR_RANGE",
      "rmsNorm: eps: expected a number above 0, got -1.000000",
    );
  });
});
