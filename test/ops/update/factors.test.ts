// A gradient that is kept as factors: its norm, and an update from it, without the matrix.
import assert from "node:assert/strict";
import { adamwStep, cast, factoredNorm, globalNorm } from "../../../ts/ops/index.js";
import type { Device } from "../../../ts/tensor/device.js";
import { tensor, zeros, type Tensor } from "../../../ts/tensor/tensor.js";
import { assertSameBitsForThreads, forEachDevice, randn, refuses } from "../../support/index.js";

const [R, N] = [5, 37];
const recipe = { lr: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 1e-2, step: 1 };

interface Factors {
  dy: Tensor;
  x: Tensor;
}
const factorsOf = (device: Device, K: number, dtype: "float32" | "bfloat16"): Factors => ({
  dy: cast(randn([R, N], { device, seed: 1, scale: 0.1 }), dtype),
  x: cast(randn([R, K], { device, seed: 2 }), dtype),
});

/** The matrix in float32, row after row of the factors, each product and each sum rounded. */
async function expanded({ dy, x }: Factors): Promise<Float32Array> {
  const [a, b, K] = [await dy.read(), await x.read(), x.dim(1)];
  return Float32Array.from({ length: N * K }, (_, i) => {
    const [n, k] = [Math.floor(i / K), i % K];
    let sum = 0;
    for (let r = 0; r < R; ++r) sum = Math.fround(sum + Math.fround(a[r * N + n]! * b[r * K + k]!));
    return sum;
  });
}

forEachDevice("factored gradients", (test, device) => {
  const state = (size: number, form: "float32" | "bfloat16" | "uint8", halves: boolean) => {
    const blocks = () => zeros([Math.ceil(size / 256)], { dtype: "uint8", device });
    const weights = randn([size], { device, seed: 3 });
    return {
      weights: halves ? cast(weights, "bfloat16") : weights,
      m: zeros([size], { dtype: form, device }),
      v: zeros([size], { dtype: form, device }),
      ...(form === "uint8" ? { mScale: blocks(), vScale: blocks() } : {}),
      ...(form === "float32" ? {} : { momentRounding: { seed: 1n } }),
      ...(halves ? { stochastic: { seed: 2n } } : {}),
    };
  };
  const bytesOf = async (s: ReturnType<typeof state>) =>
    Promise.all(
      [s.weights, s.m, s.v].map(async (t) => Buffer.from(await t.readBytes()).toString("base64")),
    );

  for (const dtype of ["float32", "bfloat16"] as const)
    for (const K of [64, 53]) {
      for (const form of ["float32", "bfloat16", "uint8"] as const)
        for (const halves of [false, true])
          test(`${dtype} K ${K}, ${form} moments, ${halves ? "bfloat16" : "float32"} weights: the matrix's update, to the bit`, async () => {
            const factors = factorsOf(device, K, dtype);
            const all = tensor(await expanded(factors), [N * K], { device });
            const [a, b] = [state(N * K, form, halves), state(N * K, form, halves)];
            adamwStep({ ...a, ...recipe, grad: all });
            adamwStep({ ...b, ...recipe, factors });
            assert.deepEqual(await bytesOf(b), await bytesOf(a));
          });

      test(`${dtype} K ${K}: a range of the matrix is updated as the whole is`, async () => {
        const factors = factorsOf(device, K, dtype);
        const [whole, cut] = [state(N * K, "float32", false), state(N * K, "float32", false)];
        adamwStep({ ...whole, ...recipe, factors });
        for (const [first, end] of [
          [0, 100],
          [100, 768],
          [768, N * K],
        ] as const) {
          const part = (t: Tensor) => t.viewOf(first, [end - first]);
          const { weights, m, v } = cut;
          const views = { weights: part(weights), m: part(m), v: part(v) };
          adamwStep({ ...views, ...recipe, factors: { ...factors, first } });
        }
        assert.deepEqual(await bytesOf(cut), await bytesOf(whole));
      });

      test(`${dtype} K ${K}: the norm is the matrix's`, async () => {
        const factors = factorsOf(device, K, dtype);
        const all = tensor(await expanded(factors), [N * K], { device });
        const [norm, exact] = [
          await factoredNorm(factors.dy, factors.x).item(),
          await globalNorm(all).item(),
        ];
        assert.ok(Math.abs(norm / exact - 1) < 1e-6, `${norm}, of the matrix ${exact}`);
      });
    }

  test("a norm that is not finite says so; one of zeros is 0", async () => {
    const x = randn([2, 7], { device });
    const dy = tensor([1, 2, NaN, 4], [2, 2], { device });
    assert.ok(Number.isNaN(await factoredNorm(dy, x).item()));
    assert.equal(
      await factoredNorm(zeros([3, 5], { device }), randn([3, 2], { device })).item(),
      0,
    );
    // Two rows that cancel: what is left is a rounding of nothing, never the root of less than nothing.
    const [a, b] = [
      tensor([0.1, 0.3, -0.1, -0.3], [2, 2], { device }),
      tensor([7, 7], [2, 1], { device }),
    ];
    assert.ok((await factoredNorm(a, b).item()) < 1e-6);
  });

  test("the bits do not depend on the number of threads", () =>
    assertSameBitsForThreads(() => {
      const factors = {
        dy: randn([7, 300], { device, seed: 1 }),
        x: randn([7, 150], { device, seed: 2 }),
      };
      const s = state(45_000, "float32", false);
      adamwStep({ ...s, ...recipe, factors });
      return [s.weights, s.m, s.v, factoredNorm(factors.dy, factors.x)];
    }));

  test("each refusal names its argument", () => {
    const s = state(N * 64, "float32", false);
    const factors = factorsOf(device, 64, "float32");
    const step = (more: Partial<Parameters<typeof adamwStep>[0]>) => () => {
      adamwStep({ ...s, ...recipe, factors, ...more });
    };
    const { dy, x } = factors;
    refuses(
      step({ grad: s.m }),
      "ERR_SHAPE",
      `adamwStep: grad: expected none beside factors, got [${N * 64}]`,
    );
    refuses(
      step({ factors: { dy, x: x.viewOf(0, [4, 64]) } }),
      "ERR_SHAPE",
      "adamwStep: x: expected [5, any], got [4, 64]",
    );
    refuses(
      step({ factors: { dy, x: cast(x, "bfloat16") } }),
      "ERR_DTYPE",
      "adamwStep: x: expected float32, got bfloat16",
    );
    refuses(
      step({ factors: { dy, x, first: 1 } }),
      "ERR_RANGE",
      "adamwStep: first: expected 0 to 0, got 1",
    );
    refuses(
      () => factoredNorm(dy, x.viewOf(0, [4, 64])),
      "ERR_SHAPE",
      "factoredNorm: x: expected [5, any], got [4, 64]",
    );
  });
});
