import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  adamwStep,
  cast,
  countNonFinite,
  globalNorm,
  joinMaster,
  splitMaster,
} from "../../../ts/ops/index.js";
import type { Device } from "../../../ts/tensor/device.js";
import type { DType } from "../../../ts/tensor/dtype.js";
import { tensor, zeros, type Tensor } from "../../../ts/tensor/tensor.js";
import {
  assertSameBitsForThreads,
  forEachDevice,
  randn,
  refuses,
  relativeError,
} from "../../support/index.js";

const n = 1003; // odd on purpose
const recipe = { lr: 5e-6, beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 1e-4 };

/** torch.optim.AdamW's definition in float64. */
class Definition {
  m = new Float64Array(n);
  v = new Float64Array(n);
  t = 0;
  constructor(readonly w: Float64Array) {}
  step(
    grad: ArrayLike<number>,
    { lr, beta1, beta2, eps, weightDecay } = recipe,
    maxNorm = 0,
  ): void {
    let norm = 0;
    for (let i = 0; i < n; ++i) norm += grad[i]! ** 2;
    const factor = maxNorm > 0 ? Math.min(1, maxNorm / (Math.sqrt(norm) + 1e-6)) : 1;
    this.t += 1;
    for (let i = 0; i < n; ++i) {
      const g = factor * grad[i]!;
      this.m[i] = beta1 * this.m[i]! + (1 - beta1) * g;
      this.v[i] = beta2 * this.v[i]! + (1 - beta2) * g * g;
      const mean = this.m[i]! / (1 - beta1 ** this.t);
      const deviation = Math.sqrt(this.v[i]! / (1 - beta2 ** this.t));
      this.w[i] = this.w[i]! * (1 - lr * weightDecay) - (lr * mean) / (deviation + eps);
    }
  }
}

interface State {
  weights: Tensor;
  remainder: Tensor | null;
  m: Tensor;
  v: Tensor;
}

function state(device: Device, dtype: "float32" | "bfloat16", deviation = 0.02): State {
  const start = cast(randn([n], { device, scale: deviation, seed: 9 }), "bfloat16");
  return {
    weights: cast(start, dtype),
    remainder: dtype === "bfloat16" ? zeros([n, 2], { dtype: "uint8", device }) : null,
    m: zeros([n], { device }),
    v: zeros([n], { device }),
  };
}

const grad = (device: Device, step: number, dtype: DType = "float32") =>
  randn([n], { device, dtype, seed: 100 + step, scale: 0.01 });

async function bytes(...tensors: (Tensor | null)[]): Promise<string> {
  const all = [];
  for (const t of tensors) if (t) all.push(Buffer.from(await t.readBytes()));
  return Buffer.concat(all).toString("hex");
}

forEachDevice("adamwStep", (test, device) => {
  const skipped = () => zeros([1], { dtype: "int32", device });

  for (const maxGradNorm of [0, 0.1, 1e3])
    test(`five steps are the definition's, clipped at ${maxGradNorm || "nothing"}`, async () => {
      const options = { ...recipe, lr: 1e-3, weightDecay: 0.1 };
      const s = state(device, "float32");
      const start = Float64Array.from(await s.weights.read());
      const exact = new Definition(start.slice());
      for (let step = 1; step <= 5; ++step) {
        const g = grad(device, step);
        adamwStep({ ...s, ...options, grad: g, step, gradNorm: globalNorm(g), maxGradNorm });
        exact.step(await g.read(), options, maxGradNorm);
      }
      const moved = (await s.weights.read()).map((w, i) => w - start[i]!);
      const wanted = exact.w.map((w, i) => w - start[i]!);
      assert.ok(relativeError(moved, wanted) < 1e-5, `moved ${relativeError(moved, wanted)}`);
      assert.ok(relativeError(await s.m.read(), exact.m) < 1e-6);
      assert.ok(relativeError(await s.v.read(), exact.v) < 1e-6);
    });

  for (const dtype of ["float32", "bfloat16"] as const)
    test(`a bfloat16 weight's master is the float32 weight, for 100 steps on ${dtype} gradients`, async () => {
      const [full, half] = [state(device, "float32"), state(device, "bfloat16")];
      for (let step = 1; step <= 100; ++step) {
        const g = grad(device, step, dtype);
        const gradNorm = globalNorm(g);
        for (const s of [full, half])
          adamwStep({ ...s, ...recipe, grad: g, step, gradNorm, maxGradNorm: 0.1 });
      }
      const master = joinMaster(half.weights, half.remainder!);
      assert.equal(await bytes(master, half.m, half.v), await bytes(full.weights, full.m, full.v));
      const rounded = [
        zeros([n], { dtype: "bfloat16", device }),
        zeros([n, 2], { dtype: "uint8", device }),
      ] as const;
      splitMaster(full.weights, ...rounded);
      assert.equal(await bytes(...rounded), await bytes(half.weights, half.remainder));
    });

  test("the recipe's steps of 5e-6 move bfloat16 weights, which rounding to nearest would not", async () => {
    const [half, naive] = [state(device, "bfloat16"), state(device, "float32")];
    const start = await half.weights.read();
    // One direction throughout: 100 steps add up to 5e-4, eight or so ulp of a weight of 0.02.
    const g = tensor(new Float32Array(n).fill(0.01), [n], { device });
    let rounded = cast(naive.weights, "bfloat16");
    for (let step = 1; step <= 100; ++step) {
      adamwStep({ ...half, ...recipe, grad: g, step });
      naive.weights.copyFrom(cast(rounded, "float32"));
      adamwStep({ ...naive, ...recipe, grad: g, step });
      rounded = cast(naive.weights, "bfloat16");
    }
    const moved = (x: Float32Array) => x.reduce((t, w, i) => t + (start[i]! - w), 0) / n;
    const [ours, theirs] = [moved(await half.weights.read()), moved(await rounded.read())];
    assert.ok(Math.abs(ours - 5e-4) < 2e-5, `moved by ${ours}`);
    assert.ok(theirs < 0.25 * ours, `rounding to nearest moved by ${theirs}`);
  });

  for (const dtype of ["float32", "bfloat16"] as const)
    test(`${dtype}: a norm that is not finite leaves all as it was, and does not count`, async () => {
      const [s, undisturbed] = [state(device, dtype), state(device, dtype)];
      const counter = skipped();
      for (const [i, poison] of [0, NaN, Infinity, 0].entries()) {
        const g = grad(device, Math.floor(i / 2));
        const values = await g.read();
        if (poison !== 0) values[n - 1] = poison;
        const given = tensor(values, [n], { device });
        const gradNorm = globalNorm(given);
        const before = await bytes(s.weights, s.remainder, s.m, s.v);
        countNonFinite(counter, gradNorm);
        adamwStep({ ...s, ...recipe, grad: given, step: i + 1, gradNorm, skipped: counter });
        const after = await bytes(s.weights, s.remainder, s.m, s.v);
        assert.equal(after === before, poison !== 0, `update ${i + 1}`);
      }
      assert.equal(await counter.item(), 2);
      for (const step of [1, 2])
        adamwStep({ ...undisturbed, ...recipe, grad: grad(device, step - 1), step });
      assert.equal(
        await bytes(s.weights, s.remainder, s.m, s.v),
        await bytes(undisturbed.weights, undisturbed.remainder, undisturbed.m, undisturbed.v),
      );
    });

  test("ranges add up to the whole", async () => {
    const [whole, parts] = [state(device, "bfloat16"), state(device, "bfloat16")];
    const g = grad(device, 1);
    const gradNorm = globalNorm(g);
    const options = { ...recipe, step: 1, gradNorm, maxGradNorm: 0.1 };
    adamwStep({ ...whole, ...options, grad: g });
    for (const [offset, size] of [
      [0, 500],
      [500, 503],
    ] as const)
      adamwStep({
        ...options,
        grad: g.viewOf(offset, [size]),
        weights: parts.weights.viewOf(offset, [size]),
        remainder: parts.remainder!.viewOf(2 * offset, [size, 2]),
        m: parts.m.viewOf(offset, [size]),
        v: parts.v.viewOf(offset, [size]),
      });
    const bytesOf = (s: State) => bytes(s.weights, s.remainder, s.m, s.v);
    assert.equal(await bytesOf(parts), await bytesOf(whole));
  });

  test("weights without gradient, as padding, stay zero", async () => {
    const s = {
      weights: zeros([n], { device }),
      m: zeros([n], { device }),
      v: zeros([n], { device }),
    };
    adamwStep({ ...s, ...recipe, grad: zeros([n], { device }), step: 1 });
    assert.ok((await s.weights.read()).every((w) => w === 0));
  });

  test("the bits do not depend on the number of threads", () =>
    assertSameBitsForThreads(() => {
      const size = 50_001;
      const make = (seed: number) => randn([size], { device, seed });
      const s = { weights: make(1), m: zeros([size], { device }), v: zeros([size], { device }) };
      adamwStep({ ...s, ...recipe, grad: make(2), step: 1 });
      return [s.weights, s.m, s.v];
    }));

  test("each refusal names its argument", () => {
    const s = state(device, "bfloat16");
    const g = grad(device, 1);
    const step = (more: Partial<Parameters<typeof adamwStep>[0]>) => () =>
      adamwStep({ ...s, ...recipe, grad: g, step: 1, ...more });
    refuses(
      step({ remainder: null }),
      "ERR_SHAPE",
      `adamwStep: remainder: expected [${n}, 2] uint8 for bfloat16 weights, got none`,
    );
    refuses(
      step({ weights: g }),
      "ERR_DTYPE",
      `adamwStep: remainder: expected none for float32 weights, got [${n}, 2]`,
    );
    refuses(step({ m: s.weights }), "ERR_DTYPE", "adamwStep: v: expected bfloat16, got float32");
    refuses(
      step({ grad: zeros([2], { device }) }),
      "ERR_SHAPE",
      `adamwStep: grad: expected [${n}], got [2]`,
    );
    refuses(
      step({ maxGradNorm: 1 }),
      "ERR_SHAPE",
      "adamwStep: gradNorm: expected [1] with maxGradNorm, got none",
    );
    refuses(step({ step: 0 }), "ERR_RANGE", "adamwStep: step: expected at least 1, got 0");
    refuses(
      step({ beta2: 1 }),
      "ERR_RANGE",
      "adamwStep: beta2: expected 0.000000 to below 1.000000, got 1.000000",
    );
  });

  if (device === "cpu")
    test("every instruction set gives the same bits", () => {
      const at = (name: string) => JSON.stringify(new URL(name, import.meta.url).href);
      const script = `
        import { adamwStep, randn } from ${at("../../../ts/ops/index.js")};
        import { zeros } from ${at("../../../ts/tensor/tensor.js")};
        const draw = (sample) => randn([1003], { seed: 1n, purpose: 0, step: 0, sample });
        const s = { weights: draw(0), m: zeros([1003]), v: zeros([1003]) };
        for (let step = 1; step <= 20; ++step)
          adamwStep({ ...s, ...${JSON.stringify(recipe)}, lr: 0.01, grad: draw(step), step });
        for (const t of [s.weights, s.m, s.v])
          console.log(Buffer.from(await t.readBytes()).toString("base64"));`;
      const outputs = ["generic", "avx2", "avx512"].map((isa) =>
        execFileSync(process.execPath, ["--input-type=module", "-e", script], {
          env: { ...process.env, SRPO_ISA: isa },
          encoding: "utf8",
        }),
      );
      assert.ok(outputs[0]!.length > 12_000);
      assert.equal(new Set(outputs).size, 1);
    });
});
