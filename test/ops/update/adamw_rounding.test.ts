// Bfloat16 weights without a master: rounded at random, right on average, the same however split.
import assert from "node:assert/strict";
import { adamwStep, cast, purposes, randomBits } from "../../../ts/ops/index.js";
import { AdamW } from "../../../ts/optim/adamw.js";
import type { Device } from "../../../ts/tensor/device.js";
import { fromBFloat16Bits } from "../../../ts/tensor/dtype.js";
import { tensor, zeros, type Tensor } from "../../../ts/tensor/tensor.js";
import { assertSameBitsForThreads, forEachDevice, randn, refuses } from "../../support/index.js";

const n = 1003;
const recipe = { lr: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 1e-2 };
const seed = 0x123456789abcdefn;

interface State {
  weights: Tensor;
  m: Tensor;
  v: Tensor;
}
const state = (device: Device, dtype: "float32" | "bfloat16", size = n): State => {
  const start = cast(randn([size], { device, scale: 0.02, seed: 1 }), "bfloat16");
  return {
    weights: cast(start, dtype),
    m: zeros([size], { device }),
    v: zeros([size], { device }),
  };
};
const part = ({ weights, m, v }: State, offset: number, size: number): State => ({
  weights: weights.viewOf(offset, [size]),
  m: m.viewOf(offset, [size]),
  v: v.viewOf(offset, [size]),
});
const halves = async (weights: Tensor) => new Uint16Array(await weights.readBytes());

forEachDevice("adamwStep with stochastic rounding", (test, device) => {
  for (const dtype of ["float32", "bfloat16"] as const)
    for (const offset of [0, 5, 128, 777])
      test(`is the definition's, bit for bit: ${dtype} gradients, offset ${offset}`, async () => {
        const [full, half] = [state(device, "float32"), state(device, "bfloat16")];
        const grad = randn([n], { device, dtype, scale: 0.01, seed: 2 });
        adamwStep({ ...full, ...recipe, grad, step: 3 });
        adamwStep({ ...half, ...recipe, grad, step: 3, stochastic: { seed, offset } });
        const draw = { seed, purpose: purposes.rounding, step: 3, sample: 0, device };
        const words = await randomBits([1024], draw).readBytes();
        const random = new Uint16Array(words).subarray(offset, offset + n);
        const exact = new Uint32Array(await full.weights.readBytes());
        const wanted = exact.map((bits, i) => (bits + random[i]!) >>> 16);
        assert.deepEqual(Array.from(await halves(half.weights)), Array.from(wanted));
        assert.deepEqual(await half.m.read(), await full.m.read());
        assert.deepEqual(await half.v.read(), await full.v.read());
      });

  test("is right on average: the error of a mean of 4000 draws is that of a mean", async () => {
    const draws = 4000;
    // One step of 0.001 from 1, to a quarter of the way down to the next bfloat16, 1 - 2^-8.
    const to = 1 - 0.001;
    const s = state(device, "bfloat16", draws);
    s.weights.copyFrom(
      cast(tensor(new Float32Array(draws).fill(1), [draws], { device }), "bfloat16"),
    );
    const grad = tensor(new Float32Array(draws).fill(0.5), [draws], { device });
    adamwStep({ ...s, ...recipe, weightDecay: 0, grad, step: 1, stochastic: { seed } });
    const weights = await s.weights.read();
    const [low, high] = [fromBFloat16Bits(0x3f7f), 1];
    assert.ok(weights.every((w) => w === low || w === high));
    const mean = weights.reduce((sum, w) => sum + w, 0) / draws;
    const odds = (high - to) / (high - low);
    const deviation = (high - low) * Math.sqrt((odds * (1 - odds)) / draws);
    assert.ok(Math.abs(mean - to) < 4 * deviation, `${mean} for ${to}, ${deviation}`);
  });

  test("many small steps add up, which rounding to nearest would lose", async () => {
    const s = state(device, "bfloat16");
    const start = await s.weights.read();
    const grad = tensor(new Float32Array(n).fill(0.01), [n], { device });
    const small = { ...recipe, lr: 5e-6, weightDecay: 0 };
    for (let step = 1; step <= 100; ++step)
      adamwStep({ ...s, ...small, grad, step, stochastic: { seed } });
    const moved = (await s.weights.read()).reduce((sum, w, i) => sum + (start[i]! - w), 0) / n;
    assert.ok(Math.abs(moved - 5e-4) < 5e-5, `moved by ${moved}`);
  });

  test("ranges add up to the whole, wherever they are cut", async () => {
    const [whole, cut] = [state(device, "bfloat16"), state(device, "bfloat16")];
    const grad = randn([n], { device, scale: 0.01, seed: 2 });
    adamwStep({ ...whole, ...recipe, grad, step: 1, stochastic: { seed, offset: 40 } });
    for (const [from, size] of [
      [0, 77],
      [77, 1],
      [78, 522],
      [600, 403],
    ] as const)
      adamwStep({
        ...part(cut, from, size),
        ...recipe,
        grad: grad.viewOf(from, [size]),
        step: 1,
        stochastic: { seed, offset: 40 + from },
      });
    assert.deepEqual(await halves(cut.weights), await halves(whole.weights));
  });

  test("another step, another seed and a place beyond 2^32 are other draws", async () => {
    const seen = new Set<string>();
    for (const [step, key, offset] of [
      [1, 1n, 0],
      [2, 1n, 0],
      [1, 2n, 0],
      [1, 1n, 8],
      [1, 1n, 2 ** 33],
    ] as const) {
      const s = state(device, "bfloat16");
      // The numbers of the update are the first step's either way.
      const skipped = tensor([step - 1], [1], { dtype: "int32", device });
      const grad = randn([n], { device, scale: 0.01, seed: 2 });
      adamwStep({ ...s, ...recipe, grad, step, skipped, stochastic: { seed: key, offset } });
      seen.add(Buffer.from(await s.weights.readBytes()).toString("base64"));
    }
    assert.equal(seen.size, 5);
  });

  test("a norm that is not finite leaves all as it was", async () => {
    const s = state(device, "bfloat16");
    const before = await halves(s.weights);
    const gradNorm = tensor([Infinity], [1], { device });
    const grad = randn([n], { device });
    adamwStep({ ...s, ...recipe, grad, step: 1, gradNorm, stochastic: { seed } });
    assert.deepEqual(await halves(s.weights), before);
    assert.ok((await s.m.read()).every((x) => x === 0));
  });

  test("the bits do not depend on the number of threads", () =>
    assertSameBitsForThreads(() => {
      const size = 70_001;
      const s = state(device, "bfloat16", size);
      const grad = randn([size], { device, seed: 2 });
      adamwStep({ ...s, ...recipe, grad, step: 1, stochastic: { seed, offset: 3 } });
      return [s.weights, s.m, s.v];
    }));

  test("each refusal names its argument", () => {
    const s = state(device, "bfloat16");
    const grad = randn([n], { device });
    const step = (more: Partial<Parameters<typeof adamwStep>[0]>) => () => {
      adamwStep({ ...s, ...recipe, grad, step: 1, stochastic: { seed }, ...more });
    };
    refuses(
      step({ weights: grad }),
      "ERR_DTYPE",
      "adamwStep: weights: expected bfloat16, got float32",
    );
    refuses(
      step({ remainder: zeros([n, 2], { dtype: "uint8", device }) }),
      "ERR_SHAPE",
      `adamwStep: remainder: expected none with stochastic rounding, got [${n}, 2]`,
    );
    refuses(
      step({ stochastic: { seed, offset: -1 } }),
      "ERR_RANGE",
      "adamwStep: offset: expected at least 0, got -1",
    );
  });

  test("AdamW: no remainder is kept, and resumed training goes on to the bit", async () => {
    const model = () => ({
      weights: cast(randn([n], { device, scale: 0.02 }), "bfloat16"),
      gradients: zeros([n], { device }),
    });
    const run = ({ gradients }: ReturnType<typeof model>, adamw: AdamW, steps: number[]) => {
      for (const step of steps) {
        gradients.copyFrom(randn([n], { device, scale: 0.01, seed: step }));
        adamw.step();
      }
    };
    const options = { lr: 1e-4, rounding: "stochastic", seed: 7n } as const;
    const whole = model();
    const through = new AdamW(whole, options);
    run(whole, through, [1, 2, 3, 4]);
    assert.equal(through.remainder, undefined);
    assert.deepEqual(Object.keys(through.state()).sort(), ["m", "skipped", "step", "v"]);
    assert.deepEqual(await through.master().read(), await whole.weights.read());

    const first = model();
    const before = new AdamW(first, options);
    run(first, before, [1, 2]);
    const second = model();
    const after = new AdamW(second, options);
    second.weights.copyFrom(first.weights);
    await after.loadState(before.state());
    run(second, after, [3, 4]);
    assert.deepEqual(await halves(second.weights), await halves(whole.weights));

    const float = { weights: cast(whole.weights, "float32"), gradients: whole.gradients };
    const exact = new AdamW(float, options);
    assert.equal(exact.remainder, undefined);
    exact.step();
  });

  if (device === "cpu")
    test("what is not finite stays as it is", async () => {
      const s = state(device, "bfloat16", 4);
      s.weights.copyFrom(tensor([Infinity, -Infinity, NaN, 1], [4], { dtype: "bfloat16" }));
      adamwStep({ ...s, ...recipe, grad: zeros([4]), step: 1, stochastic: { seed } });
      const [a, b, c, d] = await s.weights.read();
      assert.deepEqual([a, b, c], [Infinity, -Infinity, NaN]);
      assert.ok(d! > 0.98 && d! <= 1);
    });
});
