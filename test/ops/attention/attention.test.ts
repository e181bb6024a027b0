import assert from "node:assert/strict";
import { backward } from "../../../ts/autograd/backward.js";
import { native } from "../../../ts/native/binding.js";
import { attention, type AttentionOptions } from "../../../ts/ops/index.js";
import type { DType } from "../../../ts/tensor/dtype.js";
import { tensor, Tensor } from "../../../ts/tensor/tensor.js";
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
import { definition, type Sizes } from "./definitions.js";

forEachDevice("attention", (test, device) => {
  const inputs = ({ B, N, Lq, Lk, Dh }: Sizes, dtype: DType = "float32") =>
    [
      randn([B, N, Lq, Dh], { dtype, device, seed: 1 }),
      randn([B, N, Lk, Dh], { dtype, device, seed: 2 }),
      randn([B, N, Lk, Dh], { dtype, device, seed: 3 }),
    ] as const;
  const mask = (values: number[], B: number) =>
    tensor(values, [B, values.length / B], { dtype: "int32", device });

  // float32: a score errs by some 2^-24 sqrt(Dh), a sum of n terms by 2^-24 sqrt(n). bfloat16: the
  // output's rounding (2^-9) and that of the probabilities, which average out.
  async function check(
    sizes: Sizes,
    options: AttentionOptions = {},
    dtype: DType = "float32",
    tolerance = dtype === "float32" ? 2e-6 : 2 ** -8,
  ) {
    const [q, k, v] = inputs(sizes, dtype);
    const { bias, keyMask, ...rest } = options;
    const [q64, k64, v64] = await toFloat64(q, k, v);
    const exact = definition(
      sizes,
      {
        q: q64,
        k: k64,
        v: v64,
        bias: bias ? (await toFloat64(bias))[0] : undefined,
        keyMask: keyMask ? (await toFloat64(keyMask))[0] : undefined,
      },
      rest,
    );
    await assertRelative(attention(q, k, v, options), exact, tolerance, JSON.stringify(sizes));
  }

  test("forward is the definition for every head size", async () => {
    for (const Dh of [1, 7, 12, 16, 32, 64, 72, 80, 128, 200, 300, 512]) {
      await check({ B: 1, N: 2, Lq: 19, Lk: 23, Dh });
      await check({ B: 1, N: 2, Lq: 19, Lk: 23, Dh }, {}, "bfloat16");
    }
  });

  test("forward is the definition past every block, with unequal lengths", async () => {
    for (const [Lq, Lk] of [
      [1, 1],
      [1, 389],
      [203, 1],
      [199, 192],
      [250, 401],
    ] as const) {
      await check({ B: 2, N: 3, Lq, Lk, Dh: 24 });
      await check({ B: 2, N: 3, Lq, Lk, Dh: 24 }, {}, "bfloat16");
    }
    await check({ B: 1, N: 1, Lq: 150, Lk: 170, Dh: 512 });
    await check({ B: 1, N: 1, Lq: 150, Lk: 170, Dh: 512 }, {}, "bfloat16");
  });

  test("the usual heads are the definition past every block, with every option", async () => {
    const [B, N, Lq, Lk] = [2, 2, 150, 170];
    const bias = randn([N, Lq, Lk], { device, seed: 4, scale: 2 });
    const keyMask = mask(
      Array.from({ length: B * Lk }, (_, i) => (i * 7) % 3),
      B,
    );
    for (const Dh of [64, 80, 128]) {
      const sizes = { B, N, Lq, Lk, Dh };
      await check(sizes, {}, "bfloat16");
      await check(sizes, { causal: true }, "bfloat16");
      await check(sizes, { scale: -0.1, bias, keyMask }, "bfloat16");
    }
  });

  // What FLUX has: heads of 128 in bfloat16, every key seen. On Hopper tiles of 128 queries and blocks of 160
  // keys, of which two are in shared memory, and backward 128 keys and 80 queries; more tiles than emulated
  // multiprocessors. 800 keys are too many for their backward: it takes the other form.
  const lengths = [
    { B: 1, N: 1, Lq: 1, Lk: 1, Dh: 128 },
    { B: 1, N: 2, Lq: 60, Lk: 160, Dh: 128 },
    { B: 2, N: 2, Lq: 129, Lk: 161, Dh: 128 },
    { B: 1, N: 1, Lq: 200, Lk: 800, Dh: 128 },
    { B: 2, N: 3, Lq: 70, Lk: 330, Dh: 128 },
    { B: 1, N: 1, Lq: 250, Lk: 300, Dh: 128 },
  ];

  /** A mask that hides nothing takes another kernel: output and gradients agree. */
  const assertSameForms = async (sizes: Sizes, options: { scale?: number }, all: Tensor) => {
    const runs = [options, { ...options, keyMask: all }].map((one) => {
      const leaves = inputs(sizes, "bfloat16").map(leaf) as [Tensor, Tensor, Tensor];
      const out = attention(...leaves, one);
      backward(out, randn(out.shape, { dtype: "bfloat16", device, seed: 6 }));
      return [out, ...leaves.map((t) => t.grad!)];
    });
    const masked = await toFloat64(...runs[1]!);
    for (const [i, x] of runs[0]!.entries()) {
      const values = await x.read();
      assert.ok(values.every(Number.isFinite), `${JSON.stringify(sizes)}, ${i}`);
      if (masked[i]!.some((v) => v !== 0))
        await assertRelative(x, masked[i]!, 2 ** -7, `${JSON.stringify(sizes)}, ${i}`);
    }
  };

  test("heads of 128 are the definition, and what they are with a mask that hides nothing", async () => {
    for (const sizes of lengths) {
      await check(sizes, {}, "bfloat16");
      const { B, Lk } = sizes;
      const all = mask(
        Array.from({ length: B * Lk }, () => 1),
        B,
      );
      await assertSameForms(sizes, {}, all);
    }
  });

  test("heads of 128: a scale that is negative or nothing, with keys that end within a block", async () => {
    const sizes = { B: 1, N: 2, Lq: 90, Lk: 161, Dh: 128 };
    const all = mask(
      Array.from({ length: 161 }, () => 1),
      1,
    );
    for (const scale of [-0.1, 0]) {
      await check(sizes, { scale }, "bfloat16");
      await assertSameForms(sizes, { scale }, all);
    }
  });

  test("heads of 128 keep up with scores that grow from key to key, either way", async () => {
    const sizes = { B: 1, N: 2, Lq: 65, Lk: 500, Dh: 128 };
    const [q, k, v] = inputs(sizes, "bfloat16");
    const rows = await k.read();
    for (const sign of [1, -1]) {
      // The scores of a row: from some tens to some hundreds, the highest late or early.
      const grown = tensor(
        Float32Array.from(rows, (x, i) => x * (50 + sign * (((i / 128) % 500) / 10 - 25))),
        k.shape,
        { dtype: "bfloat16", device },
      );
      const [q64, k64, v64] = await toFloat64(q, grown, v);
      const exact = definition(sizes, { q: q64, k: k64, v: v64 });
      await assertRelative(attention(q, grown, v), exact, 2 ** -8, `grown by ${sign}`);
    }
  });

  test("scale, causal, bias and key mask are those of the definition", async () => {
    const sizes = { B: 2, N: 2, Lq: 211, Lk: 205, Dh: 20 };
    const { B, N, Lq, Lk } = sizes;
    const keyMask = mask(
      Array.from({ length: B * Lk }, (_, i) => (i * 7) % 3),
      B,
    );
    const bias = randn([N, Lq, Lk], { device, seed: 4, scale: 2 });
    const halfBias = randn([N, Lq, Lk], { device, seed: 4, scale: 2, dtype: "bfloat16" });
    for (const dtype of ["float32", "bfloat16"] as const) {
      await check(sizes, { scale: 1 }, dtype);
      await check(sizes, { scale: -0.3 }, dtype);
      await check(sizes, { causal: true }, dtype);
      await check(sizes, { bias }, dtype);
      await check(sizes, { keyMask }, dtype);
      await check(sizes, { scale: 0.5, causal: true, bias, keyMask }, dtype);
    }
    await check(sizes, { bias: halfBias, causal: true }, "bfloat16");
    await check({ ...sizes, Lq: 500 }, { causal: true });
    await check({ ...sizes, Lk: 500 }, { causal: true });
  });

  test("scores far above and far below zero neither overflow nor vanish", async () => {
    const sizes = { B: 1, N: 1, Lq: 5, Lk: 400, Dh: 8 };
    const bias = tensor(
      Float32Array.from({ length: 5 * 400 }, (_, i) => (i % 400) * 2 - 400),
      [1, 5, 400],
      { device },
    );
    await check(sizes, { bias }, "float32", 400 * 2 ** -23); // a score of 400 is held to 400 * 2^-24
    const hidden = tensor(
      Float32Array.from({ length: 5 * 400 }, (_, i) => (i % 3 === 0 ? 0 : -Infinity)),
      [1, 5, 400],
      { device },
    );
    const [q, k, v] = inputs(sizes);
    const keyMask = mask(
      Array.from({ length: 400 }, () => 1),
      1,
    );
    const seen = await attention(q, k, v, { bias: hidden, keyMask }).read();
    assert.ok(seen.every(Number.isFinite));
  });

  test("backward agrees with central differences", async () => {
    for (const [Lq, Lk, Dh] of [
      [5, 7, 3],
      [51, 197, 12],
      [49, 60, 150],
    ] as const) {
      const x = inputs({ B: 2, N: 2, Lq, Lk, Dh });
      await checkGradients((q, k, v) => attention(q, k, v), x, { directions: 2 });
      await checkGradients((q, k, v) => attention(q, k, v, { causal: true }), x, {
        directions: 2,
      });
    }
  });

  test("backward through bias and key mask agrees with central differences", async () => {
    const [B, N, Lq, Lk] = [3, 2, 50, 199];
    const x = inputs({ B, N, Lq, Lk, Dh: 8 });
    const bias = randn([N, Lq, Lk], { device, seed: 5 });
    const keyMask = mask(
      Array.from({ length: B * Lk }, (_, i) => i % 5),
      B,
    );
    await checkGradients(
      (q, k, v, b) => attention(q, k, v, { bias: b, keyMask, causal: true, scale: 0.7 }),
      [...x, bias],
      { directions: 2 },
    );
  });

  test("bfloat16 agrees with float32", async () => {
    const x = inputs({ B: 2, N: 2, Lq: 53, Lk: 210, Dh: 40 });
    const bias = randn([2, 53, 210], { device, seed: 5 });
    await checkBfloat16(
      (q, k, v, b) => attention(q, k, v, { bias: b, causal: true }),
      [...x, bias],
    );
    await checkBfloat16(
      (q, k, v) => attention(q, k, v),
      inputs({ B: 1, N: 1, Lq: 60, Lk: 70, Dh: 512 }),
    );
    for (const Dh of [64, 80, 128])
      await checkBfloat16(
        (q, k, v) => attention(q, k, v),
        inputs({ B: 1, N: 2, Lq: 70, Lk: 90, Dh }),
      );
    for (const sizes of lengths.slice(2, 3))
      await checkBfloat16((q, k, v) => attention(q, k, v), inputs(sizes));
    await checkBfloat16(
      (q, k, v, b) => attention(q, k, v, { bias: b, causal: true, scale: -0.1 }),
      [
        ...inputs({ B: 2, N: 2, Lq: 53, Lk: 150, Dh: 64 }),
        randn([2, 53, 150], { device, seed: 5 }),
      ],
    );
  });

  test("a query that sees no key gives 0 and no gradient", async () => {
    const [B, N, L, Dh] = [2, 2, 5, 6];
    const leaves = inputs({ B, N, Lq: L, Lk: L, Dh }).map(leaf) as [Tensor, Tensor, Tensor];
    const [q, k, v] = leaves;
    const keyMask = mask([0, 0, 0, 0, 0, 0, 1, 1, 0, 1], B);
    const bias = leaf(randn([N, L, L], { device, seed: 9 }));
    const out = attention(q, k, v, { keyMask, causal: true, bias });
    // All of the first sample, and by the causal rule the second's first query.
    const rows = await out.read();
    assert.ok(rows.subarray(0, (L + 1) * N * Dh).every((x) => x === 0));
    assert.ok(rows.subarray((L + 1) * N * Dh).every((x) => x !== 0));
    backward(out, randn(out.shape, { device, seed: 8 }));
    for (const t of [...leaves, bias]) {
      const gradient = await t.grad!.read();
      assert.ok(gradient.every(Number.isFinite));
      if (t !== bias) assert.ok(gradient.subarray(0, N * L * Dh).every((x) => x === 0));
    }
  });

  test("NaN stays NaN", async () => {
    const [q, k, v] = inputs({ B: 1, N: 1, Lq: 4, Lk: 20, Dh: 8 });
    const values = await q.read();
    values[9] = NaN;
    const out = await attention(tensor(values, q.shape, { device }), k, v).read();
    assert.ok(out.subarray(8, 16).every(Number.isNaN));
    assert.ok(out.subarray(16).every(Number.isFinite));
  });

  test("out beside other columns is out, and backward reads it there", async () => {
    const [B, N, L] = [2, 3, 75];
    // By rows of whole 16 bytes, which the kernels for heads of 64 and 128 ask for, and by others.
    for (const [Dh, dtype, beside] of [
      [7, "float32", 9],
      [128, "float32", 72],
      [24, "bfloat16", 8],
      [64, "bfloat16", 72],
      [128, "bfloat16", 72],
      [128, "bfloat16", 5],
    ] as const) {
      const [q, k, v] = inputs({ B, N, Lq: L, Lk: L, Dh }, dtype);
      const dout = randn([B, L, N * Dh], { dtype, device, seed: 4 });
      const run = async (columns: number) => {
        const heads = [q.handle, k.handle, v.handle] as const;
        const [out, lse] = native.attentionForward(...heads, null, null, 0.1, false, columns);
        const gradients = native.attentionBackward(
          dout.handle,
          out,
          lse,
          ...heads,
          null,
          null,
          0.1,
          false,
          null,
        );
        const all = await toFloat64(...[out, lse, ...gradients].map((each) => new Tensor(each)));
        const [rows, ...rest] = all as [Float64Array, ...Float64Array[]];
        const width = N * Dh + columns;
        const split = (first: number, length: number) =>
          Array.from({ length: B * L }, (_, i) =>
            rows.slice(i * width + first, i * width + first + length),
          );
        if (device === "emulated")
          assert.ok(split(N * Dh, columns).every((row) => row.every(Number.isNaN)));
        return [...split(0, N * Dh), ...rest];
      };
      const [dense, wide] = [await run(0), await run(beside)];
      if (beside !== 5) assert.deepEqual(wide, dense, `${Dh} ${dtype}`);
      for (const [i, values] of wide.entries())
        for (const [j, value] of values.entries())
          assert.ok(Math.abs(value - dense[i]![j]!) < 0.05, `${Dh} ${dtype}: ${i}, ${j}`);
    }
  });

  test("the bits do not depend on the number of threads", async () => {
    for (const dtype of ["float32", "bfloat16"] as const) {
      const x = inputs({ B: 2, N: 2, Lq: 230, Lk: 400, Dh: 40 }, dtype);
      const bias = randn([2, 230, 400], { device, seed: 5 });
      await assertSameBitsForThreads(() => {
        const leaves = [...x, bias].map(leaf) as [Tensor, Tensor, Tensor, Tensor];
        const out = attention(leaves[0], leaves[1], leaves[2], { bias: leaves[3] });
        const plain = attention(leaves[0], leaves[1], leaves[2]);
        backward(out, randn(out.shape, { dtype, device, seed: 6 }));
        backward(plain, randn(out.shape, { dtype, device, seed: 7 }));
        return [out, plain, ...leaves.map((t) => t.grad!)];
      });
    }
  });

  test("wrong shapes, dtypes and numbers are named", () => {
    const [q, k, v] = inputs({ B: 2, N: 3, Lq: 4, Lk: 5, Dh: 6 });
    refuses(
      () => attention(randn([2, 3, 4], { device }), k, v),
      "ERR_SHAPE",
      "attention: q: expected [B, N, Lq, Dh], got [2, 3, 4]",
    );
    refuses(
      () => attention(q, randn([2, 3, 5, 7], { device }), v),
      "ERR_SHAPE",
      "attention: k: expected [2, 3, any, 6], got [2, 3, 5, 7]",
    );
    refuses(
      () => attention(q, k, randn([2, 3, 4, 6], { device })),
      "ERR_SHAPE",
      "attention: v: expected [2, 3, 5, 6], got [2, 3, 4, 6]",
    );
    refuses(
      () => attention(q, k, randn([2, 3, 5, 6], { device, dtype: "bfloat16" })),
      "ERR_DTYPE",
      "attention: v: expected float32, got bfloat16",
    );
    refuses(
      () => attention(q, randn([2, 3, 0, 6], { device }), randn([2, 3, 0, 6], { device })),
      "ERR_SHAPE",
      "attention: k: expected at least one element, got [2, 3, 0, 6]",
    );
    refuses(
      () => attention(q, k, v, { bias: randn([3, 4, 4], { device }) }),
      "ERR_SHAPE",
      "attention: bias: expected [3, 4, 5], got [3, 4, 4]",
    );
    refuses(
      () => attention(q, k, v, { bias: randn([3, 4, 5], { device, dtype: "bfloat16" }) }),
      "ERR_DTYPE",
      "attention: bias: expected float32, got bfloat16",
    );
    refuses(
      () => attention(q, k, v, { keyMask: randn([2, 5], { device }) }),
      "ERR_DTYPE",
      "attention: keyMask: expected int32, got float32",
    );
    refuses(
      () => attention(q, k, v, { keyMask: mask([1, 1, 1, 1], 1) }),
      "ERR_SHAPE",
      "attention: keyMask: expected [2, 5], got [1, 4]",
    );
    refuses(
      () => attention(q, k, v, { scale: NaN }),
      "ERR_RANGE",
      "attention: scale: expected a finite number, got nan",
    );
    v.dispose();
    refuses(
      () => attention(q, k, v),
      "ERR_DISPOSED",
      "attention: v: expected a live tensor, got one that was disposed of",
    );
  });
});
