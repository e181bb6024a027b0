import assert from "node:assert/strict";
import { backward } from "../../../ts/autograd/backward.js";
import { resizeCropNormalize } from "../../../ts/ops/index.js";
import { tensor } from "../../../ts/tensor/tensor.js";
import { fromBFloat16Bits, toBFloat16Bits } from "../../../ts/tensor/dtype.js";
import {
  assertRelative,
  assertSameBitsForThreads,
  checkGradients,
  forEachDevice,
  leaf,
  randn,
  refuses,
  relativeError,
  toFloat64,
} from "../../support/index.js";

const clip = {
  mean: [0.48145466, 0.4578275, 0.40821073],
  std: [0.26862954, 0.26130258, 0.27577711],
};

function cubic(value: number, a: number): number {
  const x = Math.abs(value);
  if (x < 1) return (a + 2) * x ** 3 - (a + 3) * x ** 2 + 1;
  return x < 2 ? a * (x ** 3 - 5 * x ** 2 + 8 * x - 4) : 0;
}

/** Row i of the matrix that resizes `from` samples to `to`, dense. */
function weights(from: number, to: number, i: number, antialias: boolean): Float64Array {
  const row = new Float64Array(from);
  const s = from / to;
  if (from === to) {
    row[i] = 1;
  } else if (antialias) {
    const wide = Math.max(s, 1);
    const centre = s * (i + 0.5);
    for (let j = 0; j < from; ++j) {
      const inside =
        j >= Math.trunc(centre - 2 * wide + 0.5) && j < Math.trunc(centre + 2 * wide + 0.5);
      if (inside) row[j] = cubic((j - centre + 0.5) / wide, -0.5);
    }
    const total = row.reduce((sum, v) => sum + v, 0);
    row.forEach((v, j) => (row[j] = v / total));
  } else {
    const source = s * (i + 0.5) - 0.5;
    for (let tap = -1; tap <= 2; ++tap) {
      const j = Math.floor(source) + tap;
      row[Math.min(Math.max(j, 0), from - 1)]! += cubic(source - j, -0.75);
    }
  }
  return row;
}

interface Case {
  name: string;
  from: readonly [number, number];
  size: number;
  /** Sizes after the resize, and the first row and column of the crop; below 0: of the padding. */
  resized: readonly [number, number];
  first: readonly [number, number];
  antialias?: boolean;
  crop?: boolean;
  pad?: boolean;
}

const cases: readonly Case[] = [
  { name: "shrink 23x23", from: [23, 23], size: 7, resized: [7, 7], first: [0, 0] },
  // 7 * 26 / 20 = 9.1; (9 - 7) / 2
  { name: "shrink tall", from: [26, 20], size: 7, resized: [9, 7], first: [1, 0] },
  // 8 * 40 / 21 = 15.2 -> 15; 3.5 rounds to 4
  {
    name: "shrink wide, half rounds up to even",
    from: [21, 40],
    size: 8,
    resized: [8, 15],
    first: [0, 4],
  },
  // 8 * 34 / 21 = 12.95 -> 12, 13 would be next; 8 * 35 / 21 = 13.3: 2.5 rounds to 2
  { name: "half rounds down to even", from: [21, 35], size: 8, resized: [8, 13], first: [0, 2] },
  { name: "enlarge", from: [5, 6], size: 9, resized: [9, 10], first: [0, 0] },
  { name: "the size fits", from: [6, 6], size: 6, resized: [6, 6], first: [0, 0] },
  { name: "the short side fits", from: [6, 9], size: 6, resized: [6, 9], first: [0, 2] },
  {
    name: "without antialias",
    from: [26, 20],
    size: 7,
    resized: [9, 7],
    first: [1, 0],
    antialias: false,
  },
  {
    name: "enlarge without antialias",
    from: [3, 4],
    size: 8,
    resized: [8, 10],
    first: [0, 1],
    antialias: false,
  },
  { name: "stretch", from: [26, 20], size: 7, resized: [7, 7], first: [0, 0], crop: false },
  { name: "pad", from: [26, 20], size: 13, resized: [13, 10], first: [0, -1], pad: true },
];

forEachDevice("resizeCropNormalize", (test, device) => {
  const optionsOf = ({ size, antialias = true, crop = true, pad = false }: Case) => ({
    size,
    antialias,
    crop,
    pad,
    ...clip,
  });
  const picture = ([H, W]: readonly [number, number], dtype: "float32" | "bfloat16" = "float32") =>
    randn([2, H, W, 3], { device, dtype, scale: 0.3 });

  function definition(it: Case, x: Float64Array, half: boolean): Float64Array {
    const [H, W] = it.from;
    const { size, antialias = true } = it;
    const identity = it.resized[0] === H && it.resized[1] === W;
    return Float64Array.from({ length: 2 * size * size * 3 }, (_, at) => {
      const [c, j] = [at % 3, (Math.floor(at / 3) % size) + it.first[1]];
      const i = (Math.floor(at / (3 * size)) % size) + it.first[0];
      const b = Math.floor(at / (3 * size * size));
      let value = 0;
      if (i >= 0 && i < it.resized[0] && j >= 0 && j < it.resized[1]) {
        const rows = weights(H, it.resized[0], i, antialias);
        const columns = weights(W, it.resized[1], j, antialias);
        for (let p = 0; p < H; ++p)
          for (let q = 0; q < W; ++q)
            value += rows[p]! * columns[q]! * x[((b * H + p) * W + q) * 3 + c]!;
      }
      if (half && !identity) value = fromBFloat16Bits(toBFloat16Bits(value));
      return (value - clip.mean[c]!) / clip.std[c]!;
    });
  }

  for (const it of cases) {
    test(`${it.name}: float32 and bfloat16 are the definition`, async () => {
      for (const dtype of ["float32", "bfloat16"] as const) {
        const x = picture(it.from, dtype);
        const exact = definition(it, ...(await toFloat64(x)), dtype === "bfloat16");
        const y = resizeCropNormalize(x, optionsOf(it));
        assert.deepEqual([...y.shape, y.dtype], [2, it.size, it.size, 3, dtype]);
        // Taps follow torch's float32 coordinates, off by in * 2^-24 of a pixel: 5e-7 for these sizes' sums,
        // and up to 2e-6 for the coordinates.
        await assertRelative(y, exact, dtype === "float32" ? 2e-6 : 2 ** -8, dtype);
      }
    });
    test(`${it.name}: backward agrees with central differences`, async () => {
      await checkGradients((x) => resizeCropNormalize(x, optionsOf(it)), [picture(it.from)]);
    });
  }

  test("a constant picture stays constant, and the default normalises nothing", async () => {
    const x = tensor(new Float32Array(11 * 17 * 3).fill(0.25), [1, 11, 17, 3], { device });
    for (const antialias of [true, false]) {
      const y = await resizeCropNormalize(x, { size: 5, antialias }).read();
      assert.ok(y.every((v) => Math.abs(v - 0.25) < 1e-6));
    }
  });

  test("the gradient in bfloat16 is that in float32, rounded", async () => {
    const gradient = async (dtype: "float32" | "bfloat16") => {
      const x = leaf(picture([26, 20], dtype));
      const y = resizeCropNormalize(x, { size: 7, ...clip });
      backward(y, randn(y.shape, { device, dtype, seed: 5 }));
      return x.grad!.read();
    };
    assert.ok(relativeError(await gradient("bfloat16"), await gradient("float32")) < 2 ** -7);
  });

  test("the bits do not depend on the number of threads", async () => {
    const x = picture([90, 70]);
    await assertSameBitsForThreads(() => {
      const input = leaf(x);
      const y = resizeCropNormalize(input, { size: 32, ...clip });
      backward(y, randn([2, 32, 32, 3], { device }));
      return [y, input.grad!];
    });
  });

  test("a wrong size, mean, std or shape is named", () => {
    const x = picture([6, 6]);
    refuses(
      () => resizeCropNormalize(x, { size: 0 }),
      "ERR_RANGE",
      "resizeCropNormalize: size: expected 1 to 65536, got 0",
    );
    refuses(
      () => resizeCropNormalize(x, { size: 4, mean: [0, 0] }),
      "ERR_RANGE",
      "resizeCropNormalize: mean: expected 3 numbers, got 2",
    );
    refuses(
      () => resizeCropNormalize(x, { size: 4, std: [1, 0, 1] }),
      "ERR_RANGE",
      "resizeCropNormalize: std: expected numbers above 0, got 0.000000",
    );
    refuses(
      () => resizeCropNormalize(randn([6, 6, 3], { device }), { size: 4 }),
      "ERR_SHAPE",
      "resizeCropNormalize: image: expected [B, H, W, C], got [6, 6, 3]",
    );
    refuses(
      () =>
        resizeCropNormalize(tensor([1, 1, 1], [1, 1, 1, 3], { dtype: "uint8", device }), {
          size: 4,
        }),
      "ERR_DTYPE",
      "resizeCropNormalize: image: expected float32 or bfloat16, got uint8",
    );
  });
});
