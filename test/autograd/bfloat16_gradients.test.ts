// Weight gradients in bfloat16: every op that adds to a leaf's buffer adds to one of these too, in float32,
// with one rounding to nearest.
import assert from "node:assert/strict";
import { backward } from "../../ts/autograd/backward.js";
import { requireGrad } from "../../ts/autograd/tape.js";
import { ParameterSet } from "../../ts/nn/parameter_set.js";
import {
  add,
  addRows,
  attention,
  cast,
  conv2d,
  embedding,
  groupNorm,
  layerNorm,
  linear,
  prependRow,
  qkvNormRope,
  relativeBias,
  relativeReward,
  rmsNorm,
} from "../../ts/ops/index.js";
import { tensorScope } from "../../ts/tensor/scope.js";
import { zeros, type Tensor } from "../../ts/tensor/tensor.js";
import { forEachDevice, randn, refuses } from "../support/index.js";

forEachDevice("bfloat16 gradients", (test, device) => {
  const half = (shape: number[], seed: number) => cast(randn(shape, { device, seed }), "bfloat16");

  interface Case {
    weights: number[][];
    run: (...weights: Tensor[]) => Tensor;
  }
  const x = () => half([2, 5, 24], 1);
  const cases: Record<string, Case> = {
    linear: {
      weights: [[40, 24], [40]],
      run: (w, b) => linear(x(), w, b, { act: "gelu-tanh" }),
    },
    "linear with a gate": {
      weights: [[24, 24], [24]],
      run: (w, b) => linear(x(), w, b, { residual: x(), gate: half([2, 24], 2) }),
    },
    layerNorm: { weights: [[24], [24]], run: (w, b) => layerNorm(x(), w, b) },
    rmsNorm: { weights: [[24]], run: (w) => rmsNorm(x(), w) },
    groupNorm: {
      weights: [[24], [24]],
      run: (w, b) => groupNorm(half([1, 3, 5, 24], 3), w, b, { groups: 4, act: "silu" }),
    },
    conv2d: {
      weights: [[8, 3, 3, 24], [8]],
      run: (w, b) => conv2d(half([1, 5, 6, 24], 4), w, b),
    },
    embedding: {
      weights: [[7, 24]],
      run: (table) =>
        embedding(table, [
          [0, 6],
          [3, 6],
        ]),
    },
    qkvNormRope: {
      weights: [[16], [16]],
      run: (qScale, kScale) => {
        const streams = [{ qkv: half([1, 5, 96], 5), qScale: qScale, kScale: kScale }];
        const [q, k] = qkvNormRope(streams, { heads: 2 });
        return add(q, k);
      },
    },
    attention: {
      weights: [[2, 5, 5]],
      run: (bias) => {
        const [q, k, v] = [6, 7, 8].map((seed) => half([1, 2, 5, 16], seed));
        return attention(q!, k!, v!, { bias: bias });
      },
    },
    relativeBias: {
      weights: [[8, 2]],
      run: (table) => relativeBias(table, 6, { buckets: 8, maxDistance: 16 }),
    },
    prependRow: { weights: [[24]], run: (row) => prependRow(x(), row) },
    addRows: { weights: [[5, 24]], run: (rows) => addRows(x(), rows) },
    relativeReward: {
      weights: [[12, 24]],
      run: (projection) => {
        const [positive, negative] = [half([2, 12], 9), half([2, 12], 10)];
        const words = { positive, negative, k: [0.1, 0.2] };
        return relativeReward(half([2, 24], 11), projection, words).reward;
      },
    },
  };

  for (const [name, { weights, run }] of Object.entries(cases))
    test(`${name}: the float32 gradient, rounded; a second one is added before it is rounded`, async () => {
      const leaves = (gradDtype: "float32" | "bfloat16") =>
        weights.map((shape, i) => {
          const leaf = requireGrad(half(shape, 20 + i));
          leaf.grad = zeros(shape, { dtype: gradDtype, device });
          return leaf;
        });
      const [exact, rounded] = [leaves("float32"), leaves("bfloat16")];
      const once = (of: Tensor[]) => {
        const y = run(...of);
        const seed = cast(randn(y.shape, { device, seed: 30 }), y.dtype);
        backward(y, seed);
      };
      once(exact);
      once(rounded);
      const first = exact.map(({ grad }) => cast(grad!, "bfloat16"));
      for (const [i, { grad }] of rounded.entries()) {
        assert.equal(grad!.dtype, "bfloat16");
        assert.deepEqual(await grad!.read(), await first[i]!.read(), `weight ${i}`);
        assert.ok((await grad!.read()).some((v) => v !== 0));
      }
      // The same once more: float32 in its buffer, bfloat16 in the other.
      const before = exact.map(({ grad }) => cast(cast(grad!, "bfloat16"), "float32"));
      for (const [i, { grad }] of exact.entries()) grad!.copyFrom(before[i]!);
      once(exact);
      once(rounded);
      for (const [i, { grad }] of rounded.entries())
        assert.deepEqual(
          await grad!.read(),
          await cast(exact[i]!.grad!, "bfloat16").read(),
          `weight ${i}, twice`,
        );
    });

  test("linear, large enough for tiles: the float32 gradient within one rounding", async () => {
    const [a, b] = (["float32", "bfloat16"] as const).map((dtype) => {
      const leaf = requireGrad(half([192, 128], 1));
      leaf.grad = cast(half([192, 128], 2), dtype);
      return leaf;
    });
    for (const w of [a!, b!]) backward(linear(half([1, 160, 128], 3), w), half([1, 160, 192], 4));
    const [exact, rounded] = [await a!.grad!.read(), await b!.grad!.read()];
    for (const [i, g] of rounded.entries()) {
      const most = 2 ** -8 * Math.abs(exact[i]!) + 1e-3;
      assert.ok(Math.abs(g - exact[i]!) <= most, `${i}: ${g} for ${exact[i]!}`);
    }
  });

  for (const alike of [false, true])
    test(`the sum of 64 prompts' ${alike ? "like" : "unlike"} gradients is right within 1.5 %, its norm within 0.1`, async () => {
      const make = (gradDtype: "float32" | "bfloat16") => {
        const leaf = requireGrad(half([48, 40], 1));
        leaf.grad = zeros([48, 40], { dtype: gradDtype, device });
        return leaf;
      };
      const [exact, rounded] = [make("float32"), make("bfloat16")];
      for (let prompt = 0; prompt < 64; ++prompt) {
        using scope = tensorScope();
        void scope;
        const seed = alike ? 0 : prompt;
        const some = randn([3, 40], { device, seed: 300 + prompt, scale: 0.1 });
        const input = cast(add(randn([3, 40], { device, seed: 100 + seed }), some), "bfloat16");
        for (const w of [exact, rounded]) backward(linear(input, w), half([3, 48], 200 + seed));
        await exact.grad!.read();
      }
      const [a, b] = [await exact.grad!.read(), await rounded.grad!.read()];
      const length = (v: Float32Array) => Math.hypot(...v);
      const error = length(b.map((v, i) => v - a[i]!)) / length(a);
      assert.ok(error < 0.015 && error > 1e-4, `${error}`);
      const norm = Math.abs(length(b) / length(a) - 1);
      assert.ok(norm < 1e-3, `${norm}`);
    });

  test("a ParameterSet has them beside bfloat16 weights, and refuses them beside float32 ones", () => {
    const parameters = [{ name: "w", shape: [3, 5], init: { kind: "ones" } }] as const;
    const options = { device, trainable: true, gradDtype: "bfloat16" } as const;
    const set = ParameterSet.create(parameters, { ...options, dtype: "bfloat16" });
    assert.equal(set.gradients!.dtype, "bfloat16");
    assert.equal(set.get("w").grad!.dtype, "bfloat16");
    set.dispose();
    refuses(
      () => ParameterSet.create(parameters, options),
      "ERR_CONFIG",
      "gradDtype: expected float32 with float32 weights, got bfloat16",
    );
  });
});
