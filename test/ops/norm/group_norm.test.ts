import assert from "node:assert/strict";
import { backward } from "../../../ts/autograd/backward.js";
import { affine, conv2dWithStatistics, groupNorm, reshape } from "../../../ts/ops/index.js";
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

const sizes = [2, 5, 7, 33, 3] as const; // no vector divides a group
const [B, H, W, C, groups] = sizes;

/** The definition in float64. */
function definition(
  x: Float64Array,
  w: Float64Array,
  b: Float64Array,
  silu: boolean,
  [B, H, W, C, groups]: readonly [number, number, number, number, number] = sizes,
) {
  const groupOf = (i: number) =>
    Math.floor(i / (H * W * C)) * groups + Math.floor((i % C) / (C / groups));
  const size = (H * W * C) / groups;
  const mean = new Float64Array(B * groups);
  x.forEach((v, i) => (mean[groupOf(i)]! += v / size));
  const variance = new Float64Array(B * groups);
  x.forEach((v, i) => (variance[groupOf(i)]! += (v - mean[groupOf(i)]!) ** 2 / size));
  return x.map((value, i) => {
    const g = groupOf(i);
    const v = ((value - mean[g]!) / Math.sqrt(variance[g]! + 1e-6)) * w[i % C]! + b[i % C]!;
    return silu ? v / (1 + Math.exp(-v)) : v;
  });
}

forEachDevice("groupNorm", (test, device) => {
  const inputs = (dtype: DType) =>
    [
      randn([B, H, W, C], { dtype, device, seed: 0 }),
      randn([C], { dtype, device, seed: 1 }),
      randn([C], { dtype, device, seed: 2 }),
    ] as const;

  for (const act of ["none", "silu"] as const) {
    test(`${act}: float32 and bfloat16 forward are the definition`, async () => {
      for (const [dtype, tolerance] of [
        ["float32", 3e-7],
        ["bfloat16", 2 ** -8],
      ] as const) {
        const [x, w, b] = inputs(dtype);
        const exact = definition(...(await toFloat64(x, w, b)), act === "silu");
        await assertRelative(groupNorm(x, w, b, { groups, act }), exact, tolerance, dtype);
      }
    });

    test(`${act}: backward agrees with central differences, bfloat16 with float32`, async () => {
      await checkGradients((x, w, b) => groupNorm(x, w, b, { groups, act }), inputs("float32"));
      await checkBfloat16((x, w, b) => groupNorm(x, w, b, { groups, act }), inputs("float32"));
    });
  }

  for (const [name, channels, groups, options] of [
    ["in runs of 4 channels", 24, 6, {}],
    ["in runs of 8, of a residual", 96, 6, { residual: true }],
    ["of groups of 3 channels", 24, 8, {}],
    ["of a doubled picture", 32, 4, { upsample: true }],
  ] as const)
    test(`statistics from the convolution, ${name}`, async () => {
      for (const dtype of ["float32", "bfloat16"] as const) {
        const x = randn([2, 19, 15, 16], { dtype, device, seed: 0 });
        const w = randn([channels, 3, 3, 16], { dtype, device, seed: 1 });
        const bias = affine(randn([channels], { dtype, device, seed: 2 }), 1, 40); // far from zero
        const zoom = "upsample" in options ? 2 : 1;
        const shape = [2, 19 * zoom, 15 * zoom, channels];
        const { y, statistics } = conv2dWithStatistics(x, w, bias, {
          groups,
          upsample: "upsample" in options,
          ...("residual" in options ? { residual: randn(shape, { dtype, device, seed: 3 }) } : {}),
        });
        const [size, width] = [shape[1]! * shape[2]!, channels / groups];
        const values = (await toFloat64(y))[0];
        const exact = new Float64Array(2 * groups * 2);
        const place = (i: number) =>
          2 * (Math.floor(i / (size * channels)) * groups + Math.floor((i % channels) / width));
        values.forEach((v, i) => (exact[place(i)]! += v / (size * width)));
        values.forEach(
          (v, i) => (exact[place(i) + 1]! += (v - exact[place(i)]!) ** 2 / (size * width)),
        );
        assert.deepEqual(statistics.shape, [2, groups, 2]);
        await assertRelative(statistics, exact, 1e-6, `${dtype} statistics`);
        const [scale, shift] = [randn([channels], { dtype, device }), bias];
        const normed = groupNorm(y, scale, shift, { groups, statistics });
        const alone = groupNorm(y, scale, shift, { groups });
        await assertRelative(
          normed,
          await alone.read(),
          dtype === "float32" ? 1e-5 : 2 ** -8,
          dtype,
        );
      }
    });

  test("statistics leave the gradients as they are", async () => {
    const [x, w, b] = [
      randn([1, 9, 7, 8], { device, seed: 0 }),
      randn([16, 3, 3, 8], { device, seed: 1, scale: 0.3 }),
      randn([16], { device, seed: 2 }),
    ];
    const both = (t: Tensor, k: Tensor, shift: Tensor) => {
      const { y, statistics } = conv2dWithStatistics(t, k, shift, { groups: 4 });
      return groupNorm(y, shift, shift, { groups: 4, act: "silu", statistics });
    };
    await checkGradients((...t) => both(t[0]!, t[1]!, t[2]!), [x, w, b]);
    await checkBfloat16((...t) => both(t[0]!, t[1]!, t[2]!), [x, w, b], { tolerance: 2e-2 });
    refuses(
      () => conv2dWithStatistics(x, w, b, { groups: 3 }),
      "ERR_RANGE",
      "conv2d: groups: expected a divisor of 16, got 3",
    );
    refuses(
      () => groupNorm(x, b, b, { groups: 4, statistics: b }),
      "ERR_SHAPE",
      "groupNorm: w: expected [8], got [16]",
    );
    const eight = randn([8], { device });
    refuses(
      () => groupNorm(x, eight, eight, { groups: 4, statistics: b }),
      "ERR_SHAPE",
      "groupNorm: statistics: expected [1, 4, 2], got [16]",
    );
  });

  for (const size of [
    [2, 30, 21, 48, 12],
    [1, 3, 5, 1040, 4],
  ] as const)
    test(`${size.join(" x ")}: many parts, and divided by packs`, async () => {
      const [samples, rows, columns, channels, groups] = size;
      for (const [dtype, tolerance] of [
        ["float32", 5e-7],
        ["bfloat16", 2 ** -8],
      ] as const) {
        const x = randn([samples, rows, columns, channels], { dtype, device, seed: 0 });
        const w = randn([channels], { dtype, device, seed: 1 });
        const b = randn([channels], { dtype, device, seed: 2 });
        const exact = definition(...(await toFloat64(x, w, b)), true, size);
        await assertRelative(groupNorm(x, w, b, { groups, act: "silu" }), exact, tolerance, dtype);
        if (dtype === "bfloat16") continue;
        await checkGradients((x, w, b) => groupNorm(x, w, b, { groups, act: "silu" }), [x, w, b]);
        await checkBfloat16((x, w, b) => groupNorm(x, w, b, { groups, act: "silu" }), [x, w, b]);
      }
    });

  test("a mean far above the deviation does not cancel", async () => {
    const [x, w, b] = inputs("float32");
    const values = (await x.read()).map((v) => v + 1000);
    const far = tensor(values, x.shape, { device });
    const exact = definition(...(await toFloat64(far, w, b)), false);
    await assertRelative(groupNorm(far, w, b, { groups }), exact, 1e-4);
  });

  test("a group of one value gives the bias", async () => {
    const one = randn([2], { device });
    const y = groupNorm(randn([1, 1, 1, 2], { device }), one, tensor([0.5, 2], [2], { device }), {
      groups: 2,
    });
    assert.deepEqual([...(await y.read())], [0.5, 2]);
  });

  test("a computed weight gets its gradient too, and a leaf's are added up", async () => {
    const [x, w, b] = inputs("float32");
    await checkGradients(
      (xs, ws, bs) => groupNorm(xs, reshape(ws, [C]), bs, { groups }),
      [x, w, b],
    );
    const weight = leaf(w);
    const dy = randn(x.shape, { device, seed: 6 });
    backward(groupNorm(x, weight, b, { groups }), dy);
    const once = await weight.grad!.read();
    backward(groupNorm(x, weight, b, { groups }), dy);
    const twice = once.map((v) => 2 * v);
    assert.ok(relativeError(await weight.grad!.read(), twice) < 1e-7);
  });

  test("the bits do not depend on the number of threads", async () => {
    const x = randn([2, 40, 31, 64], { device });
    const w = randn([64], { device });
    await assertSameBitsForThreads(() => {
      const [xs, ws, bs] = [leaf(x), leaf(w), leaf(w)];
      const y = groupNorm(xs, ws, bs, { groups: 32, act: "silu" });
      backward(y, x);
      return [y, xs.grad!, ws.grad!, bs.grad!];
    });
  });

  test("a wrong shape, dtype, number of groups or eps is named", () => {
    const [x, w, b] = inputs("float32");
    refuses(
      () => groupNorm(x, randn([C - 1], { device }), b, { groups }),
      "ERR_SHAPE",
      "groupNorm: w: expected [33], got [32]",
    );
    refuses(
      () => groupNorm(x, w, randn([C], { device, dtype: "bfloat16" }), { groups }),
      "ERR_DTYPE",
      "groupNorm: b: expected float32, got bfloat16",
    );
    refuses(
      () => groupNorm(x, w, b, { groups: 4 }),
      "ERR_RANGE",
      "groupNorm: groups: expected a divisor of 33, got 4",
    );
    refuses(
      () => groupNorm(randn([B, 0, W, C], { device }), w, b, { groups }),
      "ERR_SHAPE",
      "groupNorm: x: expected at least one element, got [2, 0, 7, 33]",
    );
    refuses(
      () => groupNorm(x, w, b, { groups, eps: 0 }),
      "ERR_RANGE",
      "groupNorm: eps: expected a number above 0, got 0.000000",
    );
  });
});
