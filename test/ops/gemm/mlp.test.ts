import { equal } from "uvu/assert";
import { backward } from "../../../ts/autograd/backward.js";
import { native } from "../../../ts/native/binding.js";
import { linear, mlp, type Activation } from "../../../ts/ops/index.js";
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
import { activations, product } from "./definitions.js";

type Seven = [Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor];

/** x, w1, b1, w2, b2, residual, gate of an MLP of `hidden` wide between K and N. */
function inputs(
  [S, L, K, hidden, N]: readonly [number, number, number, number, number],
  options: { dtype?: "float32" | "bfloat16"; device: Device },
): Seven {
  return [
    randn([S, L, K], { ...options, seed: 1 }),
    randn([hidden, K], { ...options, seed: 2, scale: 1 / Math.sqrt(K) }),
    randn([hidden], { ...options, seed: 3 }),
    randn([N, hidden], { ...options, seed: 4, scale: 1 / Math.sqrt(hidden) }),
    randn([N], { ...options, seed: 5 }),
    randn([S, L, N], { ...options, seed: 6 }),
    randn([S, N], { ...options, seed: 7 }),
  ];
}

const run =
  (act: Activation) =>
  (...[x, w1, b1, w2, b2, residual, gate]: readonly Tensor[]): Tensor =>
    mlp(x!, [w1!, b1!], [w2!, b2!], { act, residual: residual ?? null, gate: gate ?? null });

/** The slope of an activation, by a difference so narrow that 1e-8 of it is right. */
const slope = (act: Activation, u: number): number =>
  (activations[act](u + 1e-5) - activations[act](u - 1e-5)) / 2e-5;

function columnSums(values: Float64Array, N: number): Float64Array {
  const sums = new Float64Array(N);
  values.forEach((v, i) => (sums[i % N]! += v));
  return sums;
}

const acts = Object.keys(activations) as Activation[];

forEachDevice("mlp", (test, device) => {
  for (const [act, sizes] of [
    ["gelu-tanh", [1, 1, 1, 1, 1]],
    ["gelu-tanh", [2, 5, 33, 97, 19]],
    ["silu", [1, 67, 21, 131, 70]],
    ["quick-gelu", [1, 3, 40, 300, 77]],
    // Rows of whole 16 bytes: in bfloat16 the tensor cores' on cuda.
    ["gelu-tanh", [2, 75, 72, 328, 136]],
    ["gelu-erf", [1, 264, 136, 200, 64]],
    ["quick-gelu", [1, 70, 64, 520, 72]],
    ["silu", [1, 70, 64, 264, 328]],
    ["none", [1, 70, 64, 264, 72]],
  ] as const)
    test(`${act} [${sizes.join(", ")}]: gradients equal their definition`, async () => {
      for (const [dtype, tolerance] of [
        ["float32", 2e-6],
        // hidden and y are rounded in forward, dpre in backward: 2^-9 / sqrt 3 on average, each
        ["bfloat16", 4e-3],
      ] as const) {
        const leaves = inputs(sizes, { dtype, device }).map(leaf) as Seven;
        const [x, w1, b1, w2, b2] = leaves;
        const y = run(act)(x, w1, b1, w2, b2);
        const dy = randn(y.shape, { dtype, device, seed: 8 });
        backward(y, dy);

        const [S, L, K, H, N] = sizes;
        const M = S * L;
        const [xs, ws1, bs1, ws2, bs2, d] = await toFloat64(x, w1, b1, w2, b2, dy);
        const pre = product(xs, ws1, { M, N: H, K, transposeB: true }).map(
          (v, i) => v + bs1[i % H]!,
        );
        const hidden = pre.map(activations[act]);
        const out = product(hidden, ws2, { M, N, K: H, transposeB: true });
        await assertRelative(
          y,
          out.map((v, i) => v + bs2[i % N]!),
          tolerance,
          `${dtype} y`,
        );
        const dpre = product(d, ws2, { M, N: H, K: N }).map((v, i) => v * slope(act, pre[i]!));
        for (const [name, got, want] of [
          ["dx", x, product(dpre, ws1, { M, N: K, K: H })],
          ["dw1", w1, product(dpre, xs, { M: H, N: K, K: M, transposeA: true })],
          ["db1", b1, columnSums(dpre, H)],
          ["dw2", w2, product(d, hidden, { M: N, N: H, K: M, transposeA: true })],
          ["db2", b2, columnSums(d, N)],
        ] as const)
          await assertRelative(got.grad!, want, tolerance, `${dtype} ${name}`);
      }
    });

  for (const act of acts)
    test(`${act}: gradients agree with central differences`, async () => {
      const all = inputs([2, 5, 19, 37, 13], { device });
      await checkGradients(run(act), all.slice(0, 5));
      await checkGradients(run(act), all);
    });

  test("bfloat16 gradients agree with float32's", async () => {
    for (const sizes of [
      [2, 35, 48, 65, 31],
      [2, 35, 64, 136, 72],
    ] as const)
      await checkBfloat16(run("gelu-tanh"), inputs(sizes, { device }));
  });

  test("float32 is two linears, forward bit for bit", async () => {
    const all = inputs([2, 37, 40, 72, 24], { device });
    const gradients = async (fn: (...leaves: Seven) => Tensor) => {
      const leaves = all.map(leaf) as Seven;
      const y = fn(...leaves);
      backward(y, randn(y.shape, { device, seed: 9 }));
      return toFloat64(y, ...leaves.map((t) => t.grad!));
    };
    const [y, ...mine] = await gradients(run("gelu-erf"));
    const [composed, ...theirs] = await gradients((x, w1, b1, w2, b2, residual, gate) =>
      linear(linear(x, w1, b1, { act: "gelu-erf" }), w2, b2, { residual, gate }),
    );
    equal(y, composed);
    for (const [i, each] of mine.entries()) {
      const scale = Math.max(...theirs[i]!.map(Math.abs));
      equal(
        each.every((v, at) => Math.abs(v - theirs[i]![at]!) <= 4e-6 * scale),
        true,
        `gradient ${i}`,
      );
    }
  });

  test("what is frozen gets no gradient, and what is beneath gets its own", async () => {
    const all = inputs([1, 9, 21, 13, 8], { device });
    const dy = randn([1, 9, 8], { device, seed: 9 });
    const whole = all.map(leaf) as Seven;
    backward(run("silu")(...whole), dy);
    for (const wanted of [[0], [1], [2], [3], [4], [1, 3], [0, 6], [5], [6]]) {
      const some = all.map((t, i) => (wanted.includes(i) ? leaf(t) : t)) as Seven;
      backward(run("silu")(...some), dy);
      for (const [i, t] of some.entries()) {
        equal(t.grad !== undefined, wanted.includes(i), `${i} of [${wanted.join(", ")}]`);
        if (t.grad === undefined) continue;
        const [got, want] = await toFloat64(t.grad, whole[i]!.grad!);
        equal(got, want);
      }
    }
  });

  test("same bits for any number of threads", async () => {
    for (const dtype of ["float32", "bfloat16"] as const)
      await assertSameBitsForThreads(() => {
        const leaves = inputs([2, 163, 77, 301, 105], { dtype, device }).map(leaf) as Seven;
        const y = run("gelu-erf")(...leaves);
        backward(y, randn(y.shape, { dtype, device, seed: 8 }));
        return [y, ...leaves.map((t) => t.grad!)];
      });
  });

  test("what does not fit is named", () => {
    const [x, w1, b1, w2, b2] = inputs([2, 3, 5, 8, 4], { device });
    refuses(
      () => mlp(x, [w1, b1], [w1, b2], { act: "silu" }),
      "ERR_SHAPE",
      "linear: w: expected [any, 8], got [8, 5]",
    );
    refuses(
      () => mlp(x, [w1, b1], [w2, b2], { act: "silu", residual: x }),
      "ERR_SHAPE",
      "linear: residual: expected [2, 3, 4], got [2, 3, 5]",
    );
    refuses(
      () => mlp(x, [w1, b1], [w2, b2], { act: "relu" as Activation }),
      "ERR_RANGE",
      "linear: act: expected none, gelu-tanh, gelu-erf, quick-gelu or silu, got relu",
    );
    const hidden = randn([2, 3, 8], { device });
    const backwardWith = (inputPre: Tensor | null) => () =>
      native.linearBackward(
        randn([2, 3, 4], { device }).handle,
        hidden.handle,
        w2.handle,
        null,
        null,
        "none",
        null,
        null,
        true,
        false,
        inputPre?.handle ?? null,
        "silu",
        null,
        0,
      );
    refuses(
      backwardWith(null),
      "ERR_TYPE",
      "linear backward: inputPre: expected what the activation of x was given, got nothing",
    );
    refuses(
      backwardWith(x),
      "ERR_SHAPE",
      "linear backward: inputPre: expected [2, 3, 8], got [2, 3, 5]",
    );
    refuses(
      backwardWith(randn([2, 3, 8], { device, dtype: "bfloat16" })),
      "ERR_DTYPE",
      "linear backward: inputPre: expected float32, got bfloat16",
    );
  });
});
