import assert from "node:assert/strict";
import { backward } from "../../../ts/autograd/backward.js";
import { cast, conv2d, reshape, type Padding } from "../../../ts/ops/index.js";
import type { DType } from "../../../ts/tensor/dtype.js";
import { tensor, type Tensor } from "../../../ts/tensor/tensor.js";
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

interface Case {
  name: string;
  x: readonly [number, number, number, number];
  w: readonly [number, number, number, number];
  stride?: number;
  padding?: Padding;
  upsample?: boolean;
}

// Odd on purpose, and on both sides of every tile: 2, 6 and 12 pixels by 16 and 32 channels, and lines
// of 16 pixels.
const cases: readonly Case[] = [
  { name: "3x3", x: [2, 7, 9, 5], w: [19, 3, 3, 5] },
  { name: "3x3 to three channels", x: [1, 5, 6, 18], w: [3, 3, 3, 18] },
  { name: "3x3 to 49 channels", x: [1, 5, 5, 34], w: [49, 3, 3, 34] },
  { name: "3x3 from 70 to 67 channels", x: [1, 5, 7, 70], w: [67, 3, 3, 70] },
  { name: "3x3 from 72 to 136 channels, 135 pixels", x: [1, 5, 27, 72], w: [136, 3, 3, 72] },
  { name: "3x3 stride 2 from 8 to 24 channels", x: [2, 7, 9, 8], w: [24, 3, 3, 8], stride: 2 },
  { name: "3x3 on a doubled picture of 16", x: [1, 5, 6, 16], w: [8, 3, 3, 16], upsample: true },
  { name: "5x5 stride 3 from 8 to 130 channels", x: [2, 13, 28, 8], w: [130, 5, 5, 8], stride: 3 },
  { name: "1x1", x: [2, 3, 5, 33], w: [40, 1, 1, 33] },
  { name: "5x5", x: [1, 6, 4, 3], w: [4, 5, 5, 3] },
  {
    name: "2x3, a kernel as large as the picture",
    x: [1, 2, 3, 4],
    w: [5, 2, 3, 4],
    padding: [0, 0, 0, 0],
  },
  { name: "3x3 stride 2", x: [2, 9, 8, 4], w: [7, 3, 3, 4], stride: 2 },
  {
    name: "3x3 stride 2, padded at the bottom and right",
    x: [1, 8, 6, 4],
    w: [6, 3, 3, 4],
    stride: 2,
    padding: [0, 1, 1, 0],
  },
  { name: "1x1 stride 3", x: [1, 7, 8, 3], w: [4, 1, 1, 3], stride: 3 },
  { name: "3x3 on a doubled picture", x: [2, 5, 3, 6], w: [17, 3, 3, 6], upsample: true },
  {
    name: "4x4 stride 3 on a doubled picture, uneven padding",
    x: [1, 6, 5, 2],
    w: [3, 4, 4, 2],
    stride: 3,
    padding: [0, 3, 2, 1],
    upsample: true,
  },
  { name: "3x3 on rows of more than 32 pixels", x: [2, 3, 35, 5], w: [7, 3, 3, 5] },
  {
    name: "3x3 on long rows of a doubled picture",
    x: [1, 2, 17, 4],
    w: [5, 3, 3, 4],
    upsample: true,
  },
  {
    name: "1x3 with a border wider than sixteen pixels",
    x: [1, 2, 4, 2],
    w: [3, 1, 3, 2],
    padding: [1, 20, 0, 19],
  },
  { name: "one pixel", x: [1, 1, 1, 1], w: [1, 3, 3, 1] },
];

// What Hopper's tensor cores take, in each kind of tile and more tiles than blocks: ragged boxes of pixels,
// channels in and out that are no multiple of 64, taps that see nothing but zeros.
const wide: readonly Case[] = [
  { name: "256 pixels by 128 channels", x: [5, 16, 15, 24], w: [120, 3, 3, 24] },
  { name: "128 pixels by 256 channels", x: [5, 10, 12, 40], w: [240, 3, 3, 40] },
  { name: "128 pixels by 128 channels", x: [2, 9, 13, 72], w: [128, 3, 3, 72] },
  { name: "256 pixels by 64 channels, one tap", x: [1, 40, 30, 136], w: [64, 1, 1, 136] },
  { name: "one channel after the other", x: [1, 20, 23, 64], w: [67, 3, 3, 64] },
  { name: "a doubled picture", x: [2, 11, 9, 64], w: [72, 3, 3, 64], upsample: true },
  {
    name: "every other pixel",
    x: [2, 21, 18, 24],
    w: [72, 3, 3, 24],
    stride: 2,
    padding: [0, 1, 1, 0],
  },
  {
    name: "a border wider than the picture",
    x: [1, 3, 4, 8],
    w: [8, 5, 5, 8],
    padding: [7, 1, 6, 9],
  },
];

/** The definition in float64, one product at a time. */
function definition(
  { x: [B, H, W, C], w: [N, kh, kw], stride = 1, padding, upsample = false }: Case,
  x: Float64Array,
  w: Float64Array,
  b: Float64Array,
): { y: Float64Array; shape: number[] } {
  const [top, right, bottom, left] = padding ?? [(kh - 1) >> 1, kw >> 1, kh >> 1, (kw - 1) >> 1];
  const zoom = upsample ? 2 : 1;
  const Ho = Math.floor((H * zoom + top + bottom - kh) / stride) + 1;
  const Wo = Math.floor((W * zoom + left + right - kw) / stride) + 1;
  const y = new Float64Array(B * Ho * Wo * N);
  for (let at = 0; at < y.length; ++at) {
    const n = at % N;
    const j = Math.floor(at / N) % Wo;
    const i = Math.floor(at / (N * Wo)) % Ho;
    const batch = Math.floor(at / (N * Wo * Ho));
    let total = b[n]!;
    for (let r = 0; r < kh; ++r)
      for (let s = 0; s < kw; ++s) {
        const row = Math.floor((i * stride + r - top) / zoom);
        const column = Math.floor((j * stride + s - left) / zoom);
        if (row < 0 || row >= H || column < 0 || column >= W) continue;
        for (let c = 0; c < C; ++c)
          total +=
            w[((n * kh + r) * kw + s) * C + c]! * x[((batch * H + row) * W + column) * C + c]!;
      }
    y[at] = total;
  }
  return { y, shape: [B, Ho, Wo, N] };
}

forEachDevice("conv2d", (test, device) => {
  const inputsOf = ({ x, w }: Case, dtype: DType = "float32") =>
    [
      randn(x, { dtype, device, seed: 0 }),
      randn(w, { dtype, device, seed: 1, scale: 0.3 }),
      randn([w[0]], { dtype, device, seed: 2 }),
    ] as const;
  const optionsOf = ({ stride, padding, upsample }: Case) => ({
    ...(stride === undefined ? {} : { stride }),
    ...(padding === undefined ? {} : { padding }),
    ...(upsample === undefined ? {} : { upsample }),
  });
  const call =
    (it: Case) =>
    (x?: Tensor, w?: Tensor, b?: Tensor, residual?: Tensor): Tensor =>
      conv2d(x!, w!, b ?? null, { ...optionsOf(it), ...(residual ? { residual } : {}) });

  for (const it of cases) {
    test(`${it.name}: float32 and bfloat16 forward are the definition`, async () => {
      for (const [dtype, tolerance] of [
        ["float32", 1e-6],
        ["bfloat16", 2 ** -8],
      ] as const) {
        const [x, w, b] = inputsOf(it, dtype);
        const { y, shape } = definition(it, ...(await toFloat64(x, w, b)));
        const actual = call(it)(x, w, b);
        assert.deepEqual(actual.shape, shape);
        await assertRelative(actual, y, tolerance, dtype);
        const residual = randn(shape, { dtype, device, seed: 3 });
        const [added] = await toFloat64(residual);
        const sum = y.map((value, i) => value + added[i]!);
        await assertRelative(call(it)(x, w, b, residual), sum, tolerance, dtype);
      }
    });

    test(`${it.name}: backward agrees with central differences, bfloat16 with float32`, async () => {
      const inputs = inputsOf(it);
      await checkGradients(call(it), inputs);
      await checkBfloat16(call(it), inputs);
    });
  }

  for (const it of wide)
    test(`${it.name}: bfloat16 is the definition, its gradients those of float32`, async () => {
      const [x, w, b] = inputsOf(it, "bfloat16");
      const { y, shape } = definition(it, ...(await toFloat64(x, w, b)));
      const residual = randn(shape, { dtype: "bfloat16", device, seed: 3 });
      const [added] = await toFloat64(residual);
      const sum = y.map((value, i) => value + added[i]!);
      await assertRelative(call(it)(x, w, b), y, 2 ** -8, "alone");
      await assertRelative(call(it)(x, w, b, residual), sum, 2 ** -8, "with a residual");
      await checkBfloat16(call(it), inputsOf(it));
    });

  test("the gradient of the residual, and without a bias", async () => {
    const [x, w, b] = inputsOf(cases[0]!);
    const residual = randn([2, 7, 9, 19], { device, seed: 3 });
    await checkGradients(call(cases[0]!), [x, w, b, residual]);
    await checkGradients((a, k) => conv2d(a, k), [x, w]);
    await checkGradients((a, k, c) => conv2d(a, reshape(k, [19, 3, 3, 5]), c), [x, w, b]);
  });

  test("weight gradients are added up, and a frozen weight gets none", async () => {
    const [x, w, b] = inputsOf(cases[0]!);
    const [weight, bias] = [leaf(w), leaf(b)];
    const dy = randn([2, 7, 9, 19], { device, seed: 4 });
    backward(conv2d(x, weight, bias), dy);
    const once = await weight.grad!.read();
    backward(conv2d(x, weight, bias), dy);
    assert.ok(
      relativeError(
        await weight.grad!.read(),
        once.map((v) => 2 * v),
      ) < 1e-7,
    );
    const input = leaf(x);
    backward(conv2d(input, w, b), dy);
    assert.ok(input.grad !== undefined && w.grad === undefined && b.grad === undefined);
  });

  test("weight gradients of more rows than are taken at once", async () => {
    const x = randn([3, 71, 33, 5], { device, seed: 0 });
    const w = randn([19, 3, 3, 5], { device, seed: 1, scale: 0.3 });
    await checkGradients((k) => conv2d(x, k), [w]);
    await checkBfloat16((k) => conv2d(x.dtype === k.dtype ? x : cast(x, k.dtype), k), [w]);
  });

  test("not a number stays in the windows that see it", async () => {
    const values = new Float32Array(6 * 6 * 2).fill(1);
    values[0] = NaN;
    const x = tensor(values, [1, 6, 6, 2], { device });
    const y = await conv2d(x, randn([1, 3, 3, 2], { device })).read();
    const bad = [...y.keys()].filter((i) => Number.isNaN(y[i]));
    assert.deepEqual(bad, [0, 1, 6, 7]);
  });

  test("the bits do not depend on the number of threads", async () => {
    for (const dtype of ["float32", "bfloat16"] as const) {
      const x = randn([2, 40, 30, 33], { device, dtype });
      const w = randn([47, 3, 3, 33], { device, dtype, seed: 1, scale: 0.1 });
      const b = randn([47], { device, dtype, seed: 2 });
      const dy = randn([2, 80, 60, 47], { device, dtype, seed: 3 });
      await assertSameBitsForThreads(() => {
        const [xs, ws, bs] = [leaf(x), leaf(w), leaf(b)];
        const y = conv2d(xs, ws, bs, { upsample: true });
        backward(y, dy);
        return [y, xs.grad!, ws.grad!, bs.grad!];
      });
    }
  });

  test("a wrong shape, dtype, stride or padding is named", () => {
    const [x, w, b] = inputsOf(cases[0]!);
    refuses(
      () => conv2d(x, randn([19, 3, 3, 6], { device }), b),
      "ERR_SHAPE",
      "conv2d: w: expected [any, any, any, 5], got [19, 3, 3, 6]",
    );
    refuses(
      () => conv2d(x, w, randn([18], { device })),
      "ERR_SHAPE",
      "conv2d: b: expected [19], got [18]",
    );
    refuses(
      () => conv2d(x, w, b, { residual: randn([2, 7, 9, 18], { device }) }),
      "ERR_SHAPE",
      "conv2d: residual: expected [2, 7, 9, 19], got [2, 7, 9, 18]",
    );
    refuses(
      () => conv2d(x, randn([19, 3, 3, 5], { device, dtype: "bfloat16" }), b),
      "ERR_DTYPE",
      "conv2d: w: expected float32, got bfloat16",
    );
    refuses(
      () => conv2d(randn([0, 7, 9, 5], { device }), w, b),
      "ERR_SHAPE",
      "conv2d: x: expected at least one element, got [0, 7, 9, 5]",
    );
    refuses(
      () => conv2d(x, w, b, { stride: 0 }),
      "ERR_RANGE",
      "conv2d: stride: expected 1 to 2^30, got 0",
    );
    refuses(
      () => conv2d(x, w, b, { padding: [0, 0, -1, 0] }),
      "ERR_RANGE",
      "conv2d: padding: expected four sizes of 0 to 2^30, got [0, 0, -1, 0]",
    );
    refuses(
      () => conv2d(randn([1, 2, 9, 5], { device }), w, b, { padding: [0, 0, 0, 0] }),
      "ERR_SHAPE",
      "conv2d: w: expected a kernel that fits the padded x [1, 2, 9, 5], got [19, 3, 3, 5]",
    );
  });
});
