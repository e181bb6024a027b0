import assert from "node:assert/strict";
import { backward } from "../../../ts/autograd/backward.js";
import { layerNorm, reshape } from "../../../ts/ops/index.js";
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
  relativeError,
  toFloat64,
} from "../../support/index.js";

const [B, L, width] = [2, 5, 97]; // odd on purpose: no block size divides them

/** The definition in float64. */
function definition(x: Float64Array, w?: Float64Array, b?: Float64Array): Float64Array {
  const D = w?.length ?? width;
  const y = new Float64Array(x.length);
  for (let begin = 0; begin < x.length; begin += D) {
    const row = x.subarray(begin, begin + D);
    const mean = row.reduce((sum, v) => sum + v, 0) / D;
    const variance = row.reduce((sum, v) => sum + (v - mean) ** 2, 0) / D;
    row.forEach((value, d) => {
      const xhat = (value - mean) / Math.sqrt(variance + 1e-5);
      y[begin + d] = xhat * (w?.[d] ?? 1) + (b?.[d] ?? 0);
    });
  }
  return y;
}

forEachDevice("layerNorm", (test, device) => {
  const inputs = (dtype: DType) =>
    [
      randn([B, L, width], { dtype, device, seed: 0 }),
      randn([width], { dtype, device, seed: 1 }),
      randn([width], { dtype, device, seed: 2 }),
    ] as const;

  for (const [dtype, tolerance] of [
    ["float32", 3e-7],
    ["bfloat16", 2 ** -8],
  ] as const)
    test(`${dtype} forward is the definition, with and without weight and bias`, async () => {
      const [x, w, b] = inputs(dtype);
      const [x64, w64, b64] = await toFloat64(x, w, b);
      await assertRelative(layerNorm(x, w, b), definition(x64, w64, b64), tolerance);
      await assertRelative(layerNorm(x, w), definition(x64, w64), tolerance);
      await assertRelative(layerNorm(x, null, b), definition(x64, undefined, b64), tolerance);
      await assertRelative(layerNorm(x), definition(x64), tolerance);
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
        const b = randn([D], { dtype, device, seed: 2 });
        await assertRelative(
          layerNorm(x, w, b),
          definition(...(await toFloat64(x, w, b))),
          tolerance,
          dtype,
        );
        if (dtype === "bfloat16") continue;
        await checkGradients((x, w, b) => layerNorm(x, w, b), [x, w, b]);
        await checkBfloat16((x, w, b) => layerNorm(x, w, b), [x, w, b]);
      }
    });

  test("a mean far above the deviation does not cancel", async () => {
    const [x, w, b] = inputs("float32");
    const values = (await x.read()).map((v) => v + 1000);
    const far = tensor(values, [B, L, width], { device });
    const exact = definition(...(await toFloat64(far, w, b)));
    // float32 holds 1000 + v to 6e-5 / 2, and the mean no better.
    await assertRelative(layerNorm(far, w, b), exact, 1e-4);
  });

  test("a row of one channel gives the bias, and the shape is kept", async () => {
    const y = layerNorm(randn([3, 1], { device }), null, tensor([0.5], [1], { device }));
    assert.deepEqual(y.shape, [3, 1]);
    assert.deepEqual([...(await y.read())], [0.5, 0.5, 0.5]);
  });

  test("backward agrees with central differences", async () => {
    await checkGradients((x, w, b) => layerNorm(x, w, b), inputs("float32"));
    await checkGradients((x, w) => layerNorm(x, w), inputs("float32").slice(0, 2));
    await checkGradients((x) => layerNorm(x), inputs("float32").slice(0, 1));
  });

  test("a computed weight gets its gradient too", async () => {
    await checkGradients(
      (x, w, b) => layerNorm(x, reshape(w, [width]), b),
      [
        randn([B, L, width], { device, seed: 3 }),
        randn([1, width], { device, seed: 4 }),
        randn([width], { device, seed: 5 }),
      ],
    );
  });

  test("weight gradients are added up, and a frozen x gets none", async () => {
    const [x, w, b] = inputs("float32");
    const [weight, bias] = [leaf(w), leaf(b)];
    const dy = randn([B, L, width], { device, seed: 6 });
    backward(layerNorm(x, weight, bias), dy);
    const once = await weight.grad!.read();
    backward(layerNorm(x, weight, bias), dy);
    const twice = once.map((v) => 2 * v);
    assert.ok(relativeError(await weight.grad!.read(), twice) < 1e-7);
    assert.equal(x.grad, undefined);
  });

  test("bfloat16 agrees with float32", async () => {
    await checkBfloat16((x, w, b) => layerNorm(x, w, b), inputs("float32"));
  });

  test("the bits do not depend on the number of threads", async () => {
    const x = randn([2, 300, 65], { device });
    const w = randn([65], { device });
    await assertSameBitsForThreads(() => {
      const [xs, ws, bs] = [leaf(x), leaf(w), leaf(w)];
      const y = layerNorm(xs, ws, bs);
      backward(y, x);
      return [y, xs.grad!, ws.grad!, bs.grad!];
    });
  });

  test("a wrong shape, dtype, size or eps is named", () => {
    const [x, w, b] = inputs("float32");
    refuses(
      () => layerNorm(x, randn([width - 1], { device }), b),
      "ERR_SHAPE",
      "layerNorm: w: expected [97], got [96]",
    );
    refuses(
      () => layerNorm(x, w, randn([width], { device, dtype: "bfloat16" })),
      "ERR_DTYPE",
      "layerNorm: b: expected float32, got bfloat16",
    );
    refuses(
      () => layerNorm(tensor([1, 2], [2], { dtype: "int32", device })),
      "ERR_DTYPE",
      "layerNorm: x: expected float32 or bfloat16, got int32",
    );
    refuses(
      () => layerNorm(randn([B, 0, width], { device }), w, b),
      "ERR_SHAPE",
      "layerNorm: x: expected at least one element, got [2, 0, 97]",
    );
    refuses(
      () => layerNorm(tensor([1], [], { device })),
      "ERR_SHAPE",
      "layerNorm: x: expected [..., D], got []",
    );
    refuses(
      () => layerNorm(x, w, b, { eps: 0 }),
      "ERR_RANGE",
      "layerNorm: eps: expected a number above 0, got 0.000000",
    );
  });
});
