import assert from "node:assert/strict";
import { equal } from "uvu/assert";
import { backward } from "../../../ts/autograd/backward.js";
import { noGrad } from "../../../ts/autograd/tape.js";
import { linear, slice, type Activation, type LinearOptions } from "../../../ts/ops/index.js";
import type { Device } from "../../../ts/tensor/device.js";
import { zeros, type Tensor } from "../../../ts/tensor/tensor.js";
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
import { activations, product } from "./definitions.js";

type Inputs = { x: Tensor; w: Tensor; b: Tensor; residual: Tensor; gate: Tensor };

function inputs(
  [S, L, N, K]: readonly [number, number, number, number],
  options: { dtype?: "float32" | "bfloat16"; device: Device },
): Inputs {
  return {
    x: randn([S, L, K], { ...options, seed: 1 }),
    w: randn([N, K], { ...options, seed: 2, scale: 1 / Math.sqrt(K) }),
    b: randn([N], { ...options, seed: 3 }),
    residual: randn([S, L, N], { ...options, seed: 4 }),
    gate: randn([S, N], { ...options, seed: 5 }),
  };
}

/** residual + gate * act(x wT + b) in float64, one value at a time. */
async function definition(all: Inputs, act: Activation, fused: boolean): Promise<Float64Array> {
  const [x, w, b, residual, gate] = await toFloat64(all.x, all.w, all.b, all.residual, all.gate);
  const [, L, K] = all.x.shape as [number, number, number];
  const N = all.w.dim(0);
  const y = product(x, w, { M: x.length / K, N, K, transposeB: true });
  return y.map((sum, i) => {
    const value = activations[act](sum + b[i % N]!);
    return fused ? residual[i]! + gate[Math.floor(i / (L * N)) * N + (i % N)]! * value : value;
  });
}

function columnSums(values: Float64Array, N: number): Float64Array {
  const sums = new Float64Array(N);
  values.forEach((v, i) => (sums[i % N]! += v));
  return sums;
}

const acts = Object.keys(activations) as Activation[];
const fusedOptions = ({ residual, gate }: Inputs): LinearOptions => ({ residual, gate });

forEachDevice("linear", (test, device) => {
  for (const sizes of [
    [1, 1, 1, 1],
    [1, 1, 7, 300],
    [2, 5, 97, 33],
    [3, 67, 131, 1],
    [1, 201, 1, 65],
    [1, 23, 300, 77],
    [1, 40, 65, 130],
    [2, 101, 70, 517],
    [1, 400, 290, 65],
    [1, 35, 40, 1100],
    [1, 64, 256, 768],
    [1, 61, 70, 2111],
    [1, 45, 300, 1201],
    // Rows of whole 16 bytes: in bfloat16 the tensor cores' on cuda.
    [2, 75, 328, 264],
    [1, 264, 136, 200],
    [1, 3, 584, 1096],
  ] as const)
    test(`[${sizes.join(", ")}] equals its definition, and so do its gradients`, async () => {
      for (const [dtype, tolerance] of [
        ["float32", 1e-6],
        ["bfloat16", 3e-3], // one rounding of the result: 2^-9 at most, 2^-9 / sqrt 3 on average
      ] as const) {
        const all = inputs(sizes, { dtype, device });
        const [x, w, b] = [leaf(all.x), leaf(all.w), leaf(all.b)];
        const y = linear(x, w, b);
        await assertRelative(y, await definition(all, "none", false), tolerance, dtype);
        const fused = linear(x, w, b, { act: "gelu-tanh", ...fusedOptions(all) });
        await assertRelative(fused, await definition(all, "gelu-tanh", true), tolerance, dtype);

        const dy = randn(y.shape, { dtype, device, seed: 6 });
        backward(y, dy);
        const [d, xs, ws] = await toFloat64(dy, all.x, all.w);
        const [K, N] = [all.w.dim(1), all.w.dim(0)];
        const M = d.length / N;
        const dx = product(d, ws, { M, N: K, K: N });
        const dw = product(d, xs, { M: N, N: K, K: M, transposeA: true });
        await assertRelative(x.grad!, dx, tolerance, `${dtype} dx`);
        await assertRelative(w.grad!, dw, 2e-6, `${dtype} dw`);
        await assertRelative(b.grad!, columnSums(d, N), 2e-6, `${dtype} db`);
      }
    });

  for (const act of acts) {
    test(`${act} in both dtypes equals its definition`, async () => {
      for (const [dtype, tolerance] of [
        ["float32", 1e-6],
        ["bfloat16", 3e-3], // one rounding of the result: 2^-9 at most, 2^-9 / sqrt 3 on average
      ] as const) {
        for (const sizes of [
          [2, 29, 67, 96],
          [2, 37, 136, 104],
        ] as const) {
          const all = inputs(sizes, { dtype, device });
          const y = linear(all.x, all.w, all.b, { act });
          await assertRelative(y, await definition(all, act, false), tolerance, dtype);
          const fused = linear(all.x, all.w, all.b, { act, ...fusedOptions(all) });
          await assertRelative(fused, await definition(all, act, true), tolerance, dtype);
        }
      }
    });

    test(`${act}: gradients agree with central differences`, async () => {
      const all = inputs([2, 5, 37, 19], { device });
      await checkGradients((x, w, b) => linear(x, w, b, { act }), [all.x, all.w, all.b]);
      await checkGradients(
        (x, w, b, residual, gate) => linear(x, w, b, { act, residual, gate }),
        Object.values(all),
      );
    });
  }

  test("bfloat16 gradients agree with float32's", async () => {
    const all = inputs([2, 70, 48, 65], { device });
    await checkBfloat16(
      (x, w, b, residual, gate) => linear(x, w, b, { act: "gelu-tanh", residual, gate }),
      Object.values(all),
    );
    await checkBfloat16((x, w, b) => linear(x, w, b), [all.x, all.w, all.b]);
    const aligned = inputs([2, 70, 136, 72], { device });
    await checkBfloat16(
      (x, w, b, residual, gate) => linear(x, w, b, { act: "silu", residual, gate }),
      Object.values(aligned),
    );
  });

  test("weight gradients add up in the leaf, and a frozen weight gets none", async () => {
    const { x, w, b } = inputs([1, 9, 21, 13], { device });
    const [one, twice, bias] = [leaf(w), leaf(w), leaf(b)];
    const dy = randn([1, 9, 21], { device, seed: 9 });
    backward(linear(x, one), dy);
    backward(linear(x, twice, bias), dy);
    backward(linear(x, twice), dy);
    const [g] = await toFloat64(one.grad!);
    await assertRelative(
      twice.grad!,
      g.map((v) => 2 * v),
      1e-6,
    );
    const input = leaf(x);
    backward(linear(input, w, b), dy);
    if (w.grad !== undefined || b.grad !== undefined) throw new Error("a frozen weight has one");
  });

  test("the squares of blocks are those of what the buffer then holds", async () => {
    const [rows, columns] = [16, 64];
    for (const [dtype, into] of [
      ["float32", "float32"],
      ["bfloat16", "float32"],
      ["bfloat16", "bfloat16"],
    ] as const)
      for (const [M, N, K] of [
        [5, 7, 3],
        [19, 137, 70],
        [40, 136, 200],
        [33, 328, 264],
      ] as const) {
        const blocks = [Math.ceil(N / rows), Math.ceil(K / columns)] as const;
        const squares = randn(blocks, { device, seed: 9 }); // written over
        const dw = randn([N, K], { dtype: into, device, seed: 8 });
        const w = leaf(randn([N, K], { dtype, device, seed: 1 }));
        w.grad = dw;
        w.squares = { handle: squares.handle, lose: () => assert.fail("another op adds") };
        for (const seed of [2, 3]) {
          const x = randn([M, K], { dtype, device, seed });
          backward(linear(x, w), randn([M, N], { dtype, device, seed: seed + 10 }));
        }
        const [held] = await toFloat64(dw);
        const sums = new Float64Array(blocks[0] * blocks[1]);
        held.forEach((v, i) => {
          const block = Math.floor(i / K / rows) * blocks[1] + Math.floor((i % K) / columns);
          sums[block]! += v * v;
        });
        await assertRelative(squares, sums, 5e-7, `${dtype}, ${into} [${M}, ${N}, ${K}]`);
      }
  });

  test("same bits for any number of threads", async () => {
    for (const dtype of ["float32", "bfloat16"] as const)
      await assertSameBitsForThreads(() => {
        const all = inputs([2, 163, 203, 301], { dtype, device });
        const leaves = Object.values(all).map(leaf) as [Tensor, Tensor, Tensor, Tensor, Tensor];
        const [x, w, b, residual, gate] = leaves;
        const squares = zeros([13, 5], { device });
        w.squares = { handle: squares.handle, lose: () => {} };
        const y = linear(x, w, b, { act: "gelu-erf", residual, gate });
        backward(y, randn(y.shape, { dtype, device, seed: 8 }));
        return [y, squares, ...leaves.map((t) => t.grad!)];
      });
  });

  test("a row's bits do not depend on its place", async () => {
    for (const dtype of ["float32", "bfloat16"] as const)
      for (const [N, K] of [
        [70, 1301],
        [300, 77],
      ] as const) {
        const { x, w, b } = inputs([1, 100, N, K], { dtype, device });
        const [whole, part] = await toFloat64(
          slice(linear(x, w, b), 1, 7, 80),
          linear(slice(x, 1, 7, 80), w, b),
        );
        equal(part, whole, dtype);
      }
  });

  test("squares that do not fit are named", () => {
    const { x, w } = inputs([1, 3, 20, 70], { device });
    const dy = randn([1, 3, 20], { device });
    for (const [shape, dtype, code, message] of [
      [[2, 1], "float32", "ERR_SHAPE", "expected [2, 2], got [2, 1]"],
      [[2, 2], "bfloat16", "ERR_DTYPE", "expected float32, got bfloat16"],
    ] as const) {
      const of = leaf(w);
      const squares = zeros(shape, { dtype, device });
      of.squares = { handle: squares.handle, lose: () => {} };
      refuses(() => backward(linear(x, of), dy), code, `linear backward: squares: ${message}`);
    }
  });

  test("what does not fit is named", () => {
    const { x, w, b } = inputs([2, 3, 8, 5], { device });
    noGrad(() => {
      refuses(
        () => linear(x, randn([8, 6], { device })),
        "ERR_SHAPE",
        "linear: w: expected [any, 5], got [8, 6]",
      );
      refuses(
        () => linear(x, randn([8], { device })),
        "ERR_SHAPE",
        "linear: w: expected [N, K], got [8]",
      );
      refuses(
        () => linear(x, randn([8, 5], { device, dtype: "bfloat16" })),
        "ERR_DTYPE",
        "linear: w: expected float32, got bfloat16",
      );
      refuses(
        () => linear(x, w, randn([5], { device })),
        "ERR_SHAPE",
        "linear: b: expected [8], got [5]",
      );
      refuses(
        () => linear(x, w, b, { residual: x }),
        "ERR_SHAPE",
        "linear: residual: expected [2, 3, 8], got [2, 3, 5]",
      );
      refuses(
        () => linear(x, w, b, { gate: randn([4, 8], { device }) }),
        "ERR_SHAPE",
        "linear: gate: expected a divisor of 6 rows, got [4, 8]",
      );
      refuses(
        () => linear(randn([0, 5], { device }), w, b),
        "ERR_SHAPE",
        "linear: x: expected at least one element, got [0, 5]",
      );
      refuses(
        () => linear(x, w, b, { act: "relu" as Activation }),
        "ERR_RANGE",
        "linear: act: expected none, gelu-tanh, gelu-erf, quick-gelu or silu, got relu",
      );
    });
  });
});
