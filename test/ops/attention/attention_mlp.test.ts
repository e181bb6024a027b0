import assert from "node:assert/strict";
import { backward } from "../../../ts/autograd/backward.js";
import { noGrad } from "../../../ts/autograd/tape.js";
import { native } from "../../../ts/native/binding.js";
import { attention, attentionMlp, concat, linear, type Activation } from "../../../ts/ops/index.js";
import type { Device } from "../../../ts/tensor/device.js";
import type { Tensor } from "../../../ts/tensor/tensor.js";
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
import { activations, product } from "../gemm/definitions.js";
import { definition } from "./definitions.js";

interface Sizes {
  B: number;
  N: number;
  L: number;
  Dh: number;
  /** Columns of x, of the MLP and of the output. */
  K: number;
  H: number;
  M: number;
}

const names = ["q", "k", "v", "x", "w1", "b1", "w2", "b2", "residual", "gate"] as const;

/** The op's tensors, in the order of `names`. */
function inputs(
  { B, N, L, Dh, K, H, M }: Sizes,
  options: { dtype?: "float32" | "bfloat16"; device: Device },
): Tensor[] {
  const shapes = [
    ...Array.from({ length: 3 }, () => [B, N, L, Dh]),
    [B, L, K],
    [H, K],
    [H],
    [M, N * Dh + H],
    [M],
    [B, L, M],
    [B, M],
  ];
  const scales: Record<number, number> = { 4: 1 / Math.sqrt(K), 6: 1 / Math.sqrt(N * Dh + H) };
  return shapes.map((shape, i) => randn(shape, { ...options, seed: i, scale: scales[i] ?? 1 }));
}

const run =
  (act: Activation) =>
  (...[q, k, v, x, w1, b1, w2, b2, residual, gate]: readonly Tensor[]): Tensor =>
    attentionMlp([q!, k!, v!], x!, [w1!, b1 ?? null], [w2!, b2 ?? null], {
      act,
      residual: residual ?? null,
      gate: gate ?? null,
    });

/** The same, op by op, with the copy. */
const composed =
  (act: Activation) =>
  (...[q, k, v, x, w1, b1, w2, b2, residual, gate]: readonly Tensor[]): Tensor => {
    const hidden = linear(x!, w1!, b1 ?? null, { act });
    const options = { residual: residual ?? null, gate: gate ?? null };
    return linear(concat([attention(q!, k!, v!), hidden], 2), w2!, b2 ?? null, options);
  };

const odd: Sizes = { B: 2, N: 3, L: 11, Dh: 7, K: 19, H: 37, M: 13 };
/** Rows of whole 16 bytes, in the columns of attention a whole number of 32: in bfloat16 the tensor cores'. */
const even: Sizes = { B: 2, N: 2, L: 75, Dh: 128, K: 72, H: 328, M: 136 };
/** The same, but a part of 32 columns is of both. */
const straddling: Sizes = { B: 1, N: 3, L: 70, Dh: 80, K: 64, H: 136, M: 72 };
const one: Sizes = { B: 1, N: 1, L: 1, Dh: 1, K: 1, H: 1, M: 1 };

forEachDevice("attentionMlp", (test, device) => {
  for (const [act, sizes] of [
    ["gelu-tanh", one],
    ["gelu-tanh", odd],
    ["gelu-tanh", even],
    ["silu", straddling],
    ["none", { ...even, L: 9 }],
  ] as const)
    test(`${act} ${Object.values(sizes).join(", ")}: equals its definition`, async () => {
      const { B, N, L, Dh, K, H, M } = sizes;
      for (const [dtype, tolerance] of [
        ["float32", 2e-6],
        ["bfloat16", 4e-3], // both halves and y are rounded
      ] as const) {
        const all = inputs(sizes, { dtype, device });
        const y = noGrad(() => run(act)(...all));
        assert.deepEqual(y.shape, [B, L, M]);
        assert.equal(y.dtype, dtype);
        const [q, k, v, x, w1, b1, w2, b2, residual, gate] = await toFloat64(...all);
        const attended = definition({ B, N, Lq: L, Lk: L, Dh }, { q: q!, k: k!, v: v! });
        const hidden = product(x!, w1!, { M: B * L, N: H, K, transposeB: true }).map((u, i) =>
          activations[act](u + b1![i % H]!),
        );
        const D = N * Dh;
        const both = new Float64Array(B * L * (D + H));
        for (let row = 0; row < B * L; ++row) {
          both.set(attended.subarray(row * D, (row + 1) * D), row * (D + H));
          both.set(hidden.subarray(row * H, (row + 1) * H), row * (D + H) + D);
        }
        const want = product(both, w2!, { M: B * L, N: M, K: D + H, transposeB: true }).map(
          (u, i) =>
            residual![i]! + gate![Math.floor(i / (L * M)) * M + (i % M)]! * (u + b2![i % M]!),
        );
        await assertRelative(y, want, tolerance, dtype);
      }
    });

  for (const act of ["gelu-tanh", "none"] as const)
    test(`${act}: gradients agree with central differences`, async () => {
      const all = inputs({ ...odd, L: 5, H: 17 }, { device });
      await checkGradients(run(act), all.slice(0, 8));
      await checkGradients(run(act), all);
    });

  test("bfloat16 gradients agree with float32's", async () => {
    for (const sizes of [odd, even, straddling])
      await checkBfloat16(run("gelu-tanh"), inputs(sizes, { device }));
  });

  test("forward is that of its ops bit for bit, and so is float32 backward but for the slope", async () => {
    for (const dtype of ["float32", "bfloat16"] as const)
      for (const sizes of [odd, even, straddling]) {
        const all = inputs(sizes, { dtype, device });
        const gradients = async (fn: (...leaves: Tensor[]) => Tensor) => {
          const leaves = all.map(leaf);
          const y = fn(...leaves);
          backward(y, randn(y.shape, { dtype, device, seed: 9 }));
          return toFloat64(y, ...leaves.map((t) => t.grad!));
        };
        const [y, ...mine] = await gradients(run("gelu-tanh"));
        const [expected, ...theirs] = await gradients(composed("gelu-tanh"));
        assert.deepEqual(y, expected);
        for (const [i, each] of mine.entries()) {
          const most = Math.max(...theirs[i]!.map(Math.abs));
          const limit = (dtype === "float32" ? 4e-6 : 2e-2) * most;
          const off = Math.max(...each.map((value, at) => Math.abs(value - theirs[i]![at]!)));
          assert.ok(off <= limit, `${dtype} ${names[i]}: ${off} of ${most}`);
        }
      }
  });

  test("what is frozen gets no gradient, and what is beneath gets its own", async () => {
    const all = inputs({ ...odd, L: 9 }, { device });
    const dy = randn([odd.B, 9, odd.M], { device, seed: 9 });
    const whole = all.map(leaf);
    backward(run("silu")(...whole), dy);
    const each = names.map((_, i) => [i]);
    for (const wanted of [...each, [0, 4], [3, 9], [1, 2]]) {
      const some = all.map((t, i) => (wanted.includes(i) ? leaf(t) : t));
      backward(run("silu")(...some), dy);
      for (const [i, t] of some.entries()) {
        assert.equal(
          t.grad !== undefined,
          wanted.includes(i),
          `${names[i]} of [${wanted.join(", ")}]`,
        );
        if (t.grad === undefined) continue;
        assert.deepEqual(await toFloat64(t.grad), await toFloat64(whole[i]!.grad!), names[i]);
      }
    }
  });

  test("same bits for any number of threads", async () => {
    for (const dtype of ["float32", "bfloat16"] as const)
      await assertSameBitsForThreads(() => {
        const sizes = { B: 2, N: 3, L: 83, Dh: 24, K: 77, H: 301, M: 105 };
        const leaves = inputs(sizes, { dtype, device }).map(leaf);
        const y = run("gelu-tanh")(...leaves);
        backward(y, randn(y.shape, { dtype, device, seed: 8 }));
        return [y, ...leaves.map((t) => t.grad!)];
      });
  });

  test("what does not fit is named", () => {
    const [q, k, v, x, w1, b1, w2, b2, residual] = inputs(odd, { device });
    const short = randn([odd.B, odd.L - 1, odd.K], { device });
    const narrow = randn([odd.M, odd.H], { device });
    const half = randn([odd.B, odd.L, odd.K], { device, dtype: "bfloat16" });
    const call = (changed: { v?: Tensor; x?: Tensor; w2?: Tensor; residual?: Tensor }) => () =>
      attentionMlp(
        [q!, k!, changed.v ?? v!],
        changed.x ?? x!,
        [w1!, b1!],
        [changed.w2 ?? w2!, b2!],
        { act: "silu", residual: changed.residual ?? residual! },
      );
    refuses(call({ v: x! }), "ERR_SHAPE", "attention: v: expected [2, 3, 11, 7], got [2, 11, 19]");
    refuses(
      call({ x: short }),
      "ERR_SHAPE",
      "linear: x: expected rows as in the tensor it goes into, [2, 11, 58], got [2, 10, 19]",
    );
    refuses(call({ x: half }), "ERR_DTYPE", "linear: w: expected bfloat16, got float32");
    refuses(call({ w2: narrow }), "ERR_SHAPE", "linear: w: expected [any, 58], got [13, 37]");
    refuses(
      call({ residual: short }),
      "ERR_SHAPE",
      "linear: residual: expected [2, 11, 13], got [2, 10, 19]",
    );
    const into = randn([odd.B, odd.L, odd.H - 1], { device });
    const forwardInto = (y: Tensor, gate: Tensor | null) => () =>
      native.linearForward(
        x!.handle,
        w1!.handle,
        null,
        null,
        gate?.handle ?? null,
        "none",
        false,
        y.handle,
      );
    refuses(
      forwardInto(into, null),
      "ERR_SHAPE",
      "linear: w: expected at most 36 rows, got [37, 19]",
    );
    refuses(
      forwardInto(randn([odd.B, odd.L, 58], { device }), randn([odd.B, odd.H], { device })),
      "ERR_TYPE",
      "linear: into: expected neither residual nor gate beside other columns, got one",
    );
    refuses(
      () => native.attentionForward(q!.handle, k!.handle, v!.handle, null, null, 1, false, -1),
      "ERR_RANGE",
      "attention: beside: expected a number of columns, got -1",
    );
    const both = randn([odd.B, odd.L, 58], { device });
    refuses(
      () =>
        native.linearBackward(
          residual!.handle,
          both.handle,
          w2!.handle,
          null,
          null,
          "none",
          null,
          null,
          true,
          false,
          null,
          "none",
          null,
          58,
        ),
      "ERR_RANGE",
      "linear backward: split: expected less than x's 58 columns, got 58",
    );
  });
});
