// Moments of 16 and of 8 bits: their codes as cpp/ops/update/moments.h says, what they do to an update,
// and that no step is ever divided by a moment that was lost.
import assert from "node:assert/strict";
import { adamwStep, cast, momentBlock, purposes, randomBits } from "../../../ts/ops/index.js";
import type { Device } from "../../../ts/tensor/device.js";
import { tensor, zeros, type Tensor } from "../../../ts/tensor/tensor.js";
import { assertSameBitsForThreads, forEachDevice, randn, refuses } from "../../support/index.js";

const n = 1003;
const recipe = { lr: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 1e-2 };
const seed = 0x123456789abcdefn;

interface State {
  weights: Tensor;
  m: Tensor;
  v: Tensor;
  mScale?: Tensor;
  vScale?: Tensor;
}
type Form = "bfloat16" | "uint8";
const forms = ["bfloat16", "uint8"] as const;

function state(device: Device, form: Form | "float32", size = n): State {
  const scale = () => zeros([Math.ceil(size / momentBlock)], { dtype: "uint8", device });
  return {
    weights: randn([size], { device, scale: 0.02, seed: 1 }),
    m: zeros([size], { dtype: form, device }),
    v: zeros([size], { dtype: form, device }),
    ...(form === "uint8" ? { mScale: scale(), vScale: scale() } : {}),
  };
}
const part = ({ weights, m, v, mScale, vScale }: State, from: number, size: number): State => {
  const blocks = [Math.ceil(size / momentBlock)];
  const of = (t: Tensor | undefined) => t?.viewOf(from / momentBlock, blocks);
  return {
    weights: weights.viewOf(from, [size]),
    m: m.viewOf(from, [size]),
    v: v.viewOf(from, [size]),
    ...(mScale && vScale ? { mScale: of(mScale)!, vScale: of(vScale)! } : {}),
  };
};
const bytesOf = async (s: State) =>
  Promise.all(
    [s.weights, s.m, s.v, ...(s.mScale && s.vScale ? [s.mScale, s.vScale] : [])].map(async (t) =>
      Buffer.from(await t.readBytes()).toString("base64"),
    ),
  );

/** Gradients whose sizes differ by 2^40 within a block, some of them zero. */
const gradient = (device: Device, step: number, size = n) =>
  tensor(
    Float32Array.from({ length: size }, (_, i) =>
      i % 17 === 3 ? 0 : Math.sin(i * 7 + step) * 2 ** -((i * 5 + step) % 41),
    ),
    [size],
    { device },
  );

const words = new DataView(new ArrayBuffer(4));
const floatOf = (bits: number) => (words.setUint32(0, bits >>> 0), words.getFloat32(0));
const bitsOf = (x: number) => (words.setFloat32(0, x), words.getUint32(0));

/** moments.h in numbers: values of codes, and codes of values. */
function decode(code: number, exponent: number, which: "m" | "v"): number {
  const E = Math.max(32, exponent);
  if (which === "v") return code === 0 ? 0 : floatOf((code + 8 * E - 248) << 20);
  const [sign, e, f] = [code & 128 ? -1 : 1, (code >> 3) & 15, code & 7];
  return sign * (e === 0 ? (f / 8) * 2 ** (E - 141) : (1 + f / 8) * 2 ** (e - 15 + E - 127));
}
function exponentOf(values: readonly number[]): number {
  const largest = Math.max(...values.map((x) => bitsOf(Math.abs(x))));
  return Math.min(255, Math.max(32, (largest + 0xfffff) >>> 23));
}
/** The code below or above, by `random` of 65536 odds. */
function encode(x: number, exponent: number, random: number, which: "m" | "v"): number {
  const [sign, size] = [bitsOf(x) >>> 31, Math.abs(x)];
  if (which === "v") {
    const code = ((bitsOf(size) + random * 16) >>> 20) - 8 * exponent + 248;
    return size === 0 ? 0 : Math.max(1, code);
  }
  const lowest = 2 ** (exponent - 141);
  const code =
    size >= lowest
      ? ((bitsOf(size) + random * 16) >>> 20) - 8 * exponent + 120
      : Math.floor(Math.fround(Math.fround((8 * size) / lowest) + random / 65536));
  return code | (sign << 7);
}

async function halvesOf(device: Device, step: number, sample: number, offset: number) {
  const draw = { seed, purpose: purposes.momentRounding, step, sample, device };
  const all = new Uint16Array(await randomBits([2048], draw).readBytes());
  return all.subarray(offset, offset + n);
}

forEachDevice("adamwStep with moments of fewer bits", (test, device) => {
  for (const dtype of ["float32", "bfloat16"] as const)
    for (const offset of [0, 512, 1280])
      test(`8 bits are the definition's: ${dtype} gradients, offset ${offset}`, async () => {
        const s = state(device, "uint8");
        const momentRounding = { seed, offset };
        const values = async (which: "m" | "v") => {
          const codes = new Uint8Array(await s[which].readBytes());
          const scales = new Uint8Array(await s[`${which}Scale`]!.readBytes());
          return Array.from(codes, (code, i) =>
            decode(code, scales[Math.floor(i / momentBlock)]!, which),
          );
        };
        for (const step of [1, 2, 3]) {
          const grad = cast(gradient(device, step), dtype);
          const full = {
            weights: tensor(await s.weights.read(), [n], { device }),
            m: tensor(Float32Array.from(await values("m")), [n], { device }),
            v: tensor(Float32Array.from(await values("v")), [n], { device }),
          };
          adamwStep({ ...full, ...recipe, grad, step });
          adamwStep({ ...s, ...recipe, grad, step, momentRounding });
          assert.deepEqual(await s.weights.read(), await full.weights.read());
          for (const [sample, which] of (["m", "v"] as const).entries()) {
            const exact = Array.from(await full[which].read());
            const random = await halvesOf(device, step, sample, offset);
            const scales = Array.from({ length: Math.ceil(n / momentBlock) }, (_, b) =>
              exponentOf(exact.slice(b * momentBlock, (b + 1) * momentBlock)),
            );
            const codes = exact.map((x, i) =>
              encode(x, scales[Math.floor(i / momentBlock)]!, random[i]!, which),
            );
            const got = new Uint8Array(await s[`${which}Scale`]!.readBytes());
            assert.deepEqual(Array.from(got), scales);
            assert.deepEqual(Array.from(new Uint8Array(await s[which].readBytes())), codes);
          }
        }
      });

  for (const offset of [0, 5, 777])
    test(`16 bits are the definition's: offset ${offset}`, async () => {
      const s = state(device, "bfloat16");
      for (const step of [1, 2]) {
        const grad = gradient(device, step);
        const full = {
          weights: tensor(await s.weights.read(), [n], { device }),
          m: cast(s.m, "float32"),
          v: cast(s.v, "float32"),
        };
        adamwStep({ ...full, ...recipe, grad, step });
        adamwStep({ ...s, ...recipe, grad, step, momentRounding: { seed, offset } });
        assert.deepEqual(await s.weights.read(), await full.weights.read());
        for (const [sample, which] of (["m", "v"] as const).entries()) {
          const random = await halvesOf(device, step, sample, offset);
          const exact = new Uint32Array(await full[which].readBytes());
          const wanted = Array.from(exact, (bits, i) => (bits + random[i]!) >>> 16);
          const got = new Uint16Array(await s[which].readBytes());
          assert.deepEqual(Array.from(got), wanted);
        }
      }
    });

  for (const form of forms) {
    test(`${form}: right on average`, async () => {
      const size = 8192;
      const s = state(device, form, size);
      // The first of each block is the block's largest; the others' m and v lie between two codes.
      const g = Float32Array.from({ length: size }, (_, i) => (i % momentBlock === 0 ? 1 : 0.317));
      const grad = tensor(g, [size], { device });
      adamwStep({ ...s, ...recipe, grad, step: 1, momentRounding: { seed } });
      const values = async (which: "m" | "v") => {
        if (form === "bfloat16") return Array.from(await s[which].read());
        const codes = new Uint8Array(await s[which].readBytes());
        const scales = new Uint8Array(await s[`${which}Scale`]!.readBytes());
        return Array.from(codes, (code, i) =>
          decode(code, scales[Math.floor(i / momentBlock)]!, which),
        );
      };
      for (const [which, exact] of [
        ["m", 0.0317],
        ["v", 0.317 ** 2 * 0.001],
      ] as const) {
        const all = (await values(which)).filter((_, i) => i % momentBlock !== 0);
        const [low, high] = [Math.min(...all), Math.max(...all)];
        assert.ok(low < exact && exact < high && high - low < exact * 0.13, `${low} ${high}`);
        const mean = all.reduce((sum, x) => sum + x, 0) / all.length;
        const odds = (high - exact) / (high - low);
        const deviation = (high - low) * Math.sqrt((odds * (1 - odds)) / all.length);
        assert.ok(Math.abs(mean - exact) < 4 * deviation, `${which}: ${mean} for ${exact}`);
      }
    });

    test(`${form}: ranges add up to the whole, with weights of every kind`, async () => {
      for (const rounded of [false, true]) {
        const make = () => {
          const s = state(device, form);
          return rounded ? { ...s, weights: cast(s.weights, "bfloat16") } : s;
        };
        const [whole, cut] = [make(), make()];
        const offset = 256;
        const run = (s: State, from: number, size: number, step: number) => {
          const random = { seed, offset: offset + from };
          adamwStep({
            ...part(s, from, size),
            ...recipe,
            grad: gradient(device, step).viewOf(from, [size]),
            step,
            momentRounding: random,
            stochastic: rounded ? random : undefined,
          });
        };
        for (const step of [1, 2]) {
          run(whole, 0, n, step);
          for (const [from, size] of [
            [0, 256],
            [256, 512],
            [768, 235],
          ] as const)
            run(cut, from, size, step);
        }
        assert.deepEqual(await bytesOf(cut), await bytesOf(whole));
      }
    });

    test(`${form}: bfloat16 weights with a remainder move as float32 ones`, async () => {
      const full = state(device, form);
      const weights = cast(full.weights, "bfloat16");
      full.weights.copyFrom(cast(weights, "float32"));
      const half = { ...state(device, form), weights };
      const remainder = zeros([n, 2], { dtype: "uint8", device });
      for (const step of [1, 2]) {
        const more = { ...recipe, grad: gradient(device, step), step, momentRounding: { seed } };
        adamwStep({ ...full, ...more });
        adamwStep({ ...half, ...more, remainder });
      }
      const upper = new Uint16Array(await half.weights.readBytes());
      const lower = new Uint16Array(await remainder.readBytes());
      const joined = Array.from(upper, (w, i) => ((w - (lower[i]! >> 15)) << 16) | lower[i]!);
      const wanted = new Int32Array(await full.weights.readBytes());
      assert.deepEqual(joined, Array.from(wanted));
      assert.deepEqual((await bytesOf(half)).slice(1), (await bytesOf(full)).slice(1));
    });

    test(`${form}: a norm that is not finite leaves all as it was`, async () => {
      const s = state(device, form);
      adamwStep({ ...s, ...recipe, grad: gradient(device, 1), step: 1, momentRounding: { seed } });
      const before = await bytesOf(s);
      const gradNorm = tensor([NaN], [1], { device });
      const grad = randn([n], { device });
      adamwStep({ ...s, ...recipe, grad, step: 2, gradNorm, momentRounding: { seed } });
      assert.deepEqual(await bytesOf(s), before);
    });

    test(`${form}: the bits do not depend on the number of threads`, () =>
      assertSameBitsForThreads(() => {
        const s = state(device, form, 40_001);
        const grad = gradient(device, 1, 40_001);
        adamwStep({ ...s, ...recipe, grad, step: 1, momentRounding: { seed } });
        return [s.weights, s.m, s.v, ...(s.mScale && s.vScale ? [s.mScale, s.vScale] : [])];
      }));

    test(`${form}: a block whose gradients differ by 2^40 takes no step out of all proportion`, async () => {
      const s = state(device, form);
      const exact = state(device, "float32");
      let most = 0;
      for (let step = 1; step <= 60; ++step) {
        const more = { ...recipe, weightDecay: 0, grad: gradient(device, step), step };
        const before = await s.weights.read();
        adamwStep({ ...s, ...more, momentRounding: { seed } });
        adamwStep({ ...exact, ...more });
        const after = await s.weights.read();
        most = after.reduce((max, w, i) => Math.max(max, Math.abs(w - before[i]!)), most);
      }
      assert.ok(most < 3 * recipe.lr, `${most}`);
      // What never had a gradient has not moved.
      const [start, end] = [state(device, form).weights, s.weights];
      const still = (values: Float32Array) => values.filter((_, i) => i % 17 === 3);
      assert.deepEqual(still(await end.read()), still(await start.read()));
    });
  }

  test("each refusal names its argument", () => {
    const s = state(device, "uint8");
    const grad = randn([n], { device });
    const step = (more: Partial<Parameters<typeof adamwStep>[0]>) => () => {
      adamwStep({ ...s, ...recipe, grad, step: 1, momentRounding: { seed }, ...more });
    };
    const { m, v, mScale } = s;
    refuses(
      step({ m: zeros([n], { dtype: "int32", device }) }),
      "ERR_DTYPE",
      "adamwStep: m: expected float32, bfloat16 or uint8, got int32",
    );
    refuses(
      step({ v: zeros([n], { device }) }),
      "ERR_DTYPE",
      "adamwStep: v: expected uint8, got float32",
    );
    refuses(
      step({ mScale: undefined }),
      "ERR_SHAPE",
      "adamwStep: mScale: expected [4] with uint8 moments, got none",
    );
    refuses(
      step({ vScale: zeros([3], { dtype: "uint8", device }) }),
      "ERR_SHAPE",
      "adamwStep: vScale: expected [4], got [3]",
    );
    refuses(
      step({ m: cast(grad, "bfloat16"), v: cast(grad, "bfloat16") }),
      "ERR_SHAPE",
      "adamwStep: mScale: expected none but with uint8 moments, got [4]",
    );
    refuses(
      step({ momentRounding: undefined }),
      "ERR_RANGE",
      "adamwStep: momentRounding: expected a seed for moments that are no floats, got none",
    );
    refuses(
      step({ momentRounding: { seed, offset: 128 } }),
      "ERR_RANGE",
      "adamwStep: offset: expected a multiple of 256, got 128",
    );
    assert.ok(m.size === v.size && mScale!.size === 4);
  });
});
