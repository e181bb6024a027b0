import assert from "node:assert/strict";
import { backward } from "../../../ts/autograd/backward.js";
import { add, qkvNormRope, ropeTable } from "../../../ts/ops/index.js";
import type { DType } from "../../../ts/tensor/dtype.js";
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

const [B, N, Dh] = [2, 3, 22]; // odd on purpose: no block size divides them
const heads = [N, Dh] as const;
const lengths = [5, 37];
const L = 42;

/** Head n of token l of part (0: q, 1: k, 2: v) of stream s, in float64, as models.md spells it out. */
function definition(
  qkvs: readonly Float64Array[],
  scales: readonly (Float64Array | null)[],
  part: number,
  rope: { cos: Float64Array; sin: Float64Array } | null,
  [N, Dh]: readonly [number, number] = heads,
): Float64Array {
  const out = new Float64Array(B * N * L * Dh);
  for (let b = 0; b < B; ++b)
    for (let n = 0; n < N; ++n)
      for (let l = 0, s = 0, i = 0; l < L; ++l, ++i) {
        if (i === lengths[s]) [s, i] = [s + 1, 0];
        const from = ((b * lengths[s]! + i) * 3 + part) * N * Dh + n * Dh;
        const x = qkvs[s]!.slice(from, from + Dh);
        const scale = part < 2 ? scales[s] : null;
        if (scale) {
          const rms = Math.sqrt(x.reduce((sum, v) => sum + v * v, 0) / Dh + 1e-6);
          for (let d = 0; d < Dh; ++d) x[d]! *= scale[d]! / rms;
        }
        const to = ((b * N + n) * L + l) * Dh;
        for (let m = 0; m < Dh / 2; ++m) {
          const c = rope && part < 2 ? rope.cos[(l * Dh) / 2 + m]! : 1;
          const r = rope && part < 2 ? rope.sin[(l * Dh) / 2 + m]! : 0;
          out[to + 2 * m] = x[2 * m]! * c - x[2 * m + 1]! * r;
          out[to + 2 * m + 1] = x[2 * m + 1]! * c + x[2 * m]! * r;
        }
      }
  return out;
}

forEachDevice("qkvNormRope", (test, device) => {
  const qkvs = (dtype: DType) =>
    lengths.map((length, i) => randn([B, length, 3 * N * Dh], { dtype, device, seed: i }));
  const scale = (seed: number, dtype: DType = "float32") => randn([Dh], { dtype, device, seed });
  const table = () =>
    ropeTable(
      Array.from({ length: L }, (_, l) => [l, (l * 7) % 11]),
      [8, 14],
      100,
      { device },
    );

  for (const [dtype, tolerance] of [
    ["float32", 4e-7],
    ["bfloat16", 2 ** -8],
  ] as const)
    test(`${dtype} forward is the definition, with every option`, async () => {
      const x = qkvs(dtype);
      const rope = table();
      const [cos, sin] = await toFloat64(rope.cos, rope.sin);
      const x64 = await toFloat64(...x);
      const all = [scale(5, dtype), scale(6, dtype), scale(7, dtype), scale(8, dtype)] as const;
      for (const given of [
        [null, null, null, null],
        all,
        [all[0], all[1], null, null],
        [null, all[1], all[2], null],
      ])
        for (const turned of [true, false]) {
          const [q0, k0, q1, k1] = given as (Tensor | null)[];
          const actual = qkvNormRope(
            [
              { qkv: x[0]!, qScale: q0!, kScale: k0! },
              { qkv: x[1]!, qScale: q1!, kScale: k1! },
            ],
            { heads: N, rope: turned ? rope : null },
          );
          const exactScales = [];
          for (const t of given) exactScales.push(t ? (await toFloat64(t))[0] : null);
          for (const part of [0, 1, 2]) {
            const scales = [exactScales[part % 2]!, exactScales[2 + (part % 2)]!];
            const exact = definition(x64, scales, part, turned ? { cos, sin } : null);
            await assertRelative(actual[part]!, exact, tolerance, `part ${part}`);
          }
        }
    });

  // Heads of whole packs; more heads and tokens than a group of lanes takes at once.
  for (const size of [
    [5, 64],
    [13, 128],
    [2, 256],
  ] as const)
    test(`${size[0]} heads of ${size[1]}: definition and gradients`, async () => {
      const [N, Dh] = size;
      const rope = ropeTable(
        Array.from({ length: L }, (_, l) => [l, (l * 7) % 11]),
        [Dh / 4, (3 * Dh) / 4],
        100,
        { device },
      );
      const call = (...t: readonly Tensor[]) =>
        qkvNormRope(
          [
            { qkv: t[0]!, qScale: t[2]!, kScale: t[3]! },
            { qkv: t[1]!, qScale: t[3]!, kScale: t[2]! },
          ],
          { heads: N, rope },
        );
      const [cos, sin] = await toFloat64(rope.cos, rope.sin);
      for (const [dtype, tolerance] of [
        ["float32", 4e-7],
        ["bfloat16", 2 ** -8],
      ] as const) {
        const x = lengths.map((length, i) =>
          randn([B, length, 3 * N * Dh], { dtype, device, seed: i }),
        );
        const scales = [5, 6].map((seed) => randn([Dh], { dtype, device, seed }));
        const [x64, s64] = [await toFloat64(...x), await toFloat64(...scales)];
        const actual = call(...x, ...scales);
        for (const part of [0, 1, 2]) {
          const of = part === 0 ? [s64[0]!, s64[1]!] : [s64[1]!, s64[0]!];
          const exact = definition(x64, of, part, { cos, sin }, size);
          await assertRelative(actual[part]!, exact, tolerance, `${dtype}, part ${part}`);
        }
        if (dtype === "bfloat16") continue;
        const sum = (...t: readonly Tensor[]) => {
          const [q, k, v] = call(...t);
          return add(add(q, k), add(v, v));
        };
        await checkGradients(sum, [...x, ...scales], { directions: 1 });
        await checkBfloat16(sum, [...x, ...scales], { tolerance: 2e-2 });
      }
    });

  test("a plain split of one stream moves the bits", async () => {
    const x = randn([1, 4, 3 * 2 * 5], { device });
    const [, , v] = qkvNormRope([{ qkv: x }], { heads: 2 });
    const values = await x.read();
    const head = (await v.read()).subarray(5 * 4, 5 * 5); // head 1, token 0
    assert.deepEqual([...head], [...values.subarray(25, 30)]);
  });

  /** q, k and v in one tensor, each with a weight of its own. */
  const joined = (
    x: readonly (Tensor | undefined)[],
    scales: readonly (Tensor | undefined)[],
    turned: boolean,
  ) => {
    const [q, k, v] = qkvNormRope(
      x.map((qkv, i) => ({
        qkv: qkv!,
        qScale: scales[2 * i] ?? null,
        kScale: scales[2 * i + 1] ?? null,
      })),
      { heads: N, rope: turned ? table() : null },
    );
    return add(add(q, k), add(v, v));
  };

  test("backward agrees with central differences", async () => {
    const x = qkvs("float32");
    const scales = [scale(5), scale(6), scale(7), scale(8)];
    await checkGradients((a, b, ...s) => joined([a, b], s, true), [...x, ...scales]);
    await checkGradients((a, b, ...s) => joined([a, b], s, false), [...x, ...scales]);
    await checkGradients((a, b) => joined([a, b], [], true), x);
    await checkGradients((a, b) => joined([a, b], [], false), x);
  });

  test("streams that share their scales add both gradients", async () => {
    const x = qkvs("float32");
    await checkGradients(
      (a, b, s, t) => joined([a, b], [s, t, s, t], true),
      [...x, scale(5), scale(6)],
    );
    await checkGradients((a, b, s) => joined([a, b], [s, s, s, s], true), [...x, scale(5)]);
  });

  test("an output that nothing used has no part in the gradient", async () => {
    const x = leaf(qkvs("float32")[0]!);
    const [, k] = qkvNormRope([{ qkv: x }], { heads: N });
    backward(k, k.detach());
    const [gradient, values] = [await x.grad!.read(), await x.read()];
    gradient.forEach((g, i) => {
      const ofK = Math.floor(i / (N * Dh)) % 3 === 1;
      assert.equal(g, ofK ? values[i] : 0);
    });
  });

  test("bfloat16 agrees with float32", async () => {
    await checkBfloat16(
      (a, b, ...s) => joined([a, b], s, true),
      [...qkvs("float32"), scale(5), scale(6), scale(7), scale(8)],
    );
  });

  test("the bits do not depend on the number of threads", async () => {
    const x = randn([2, 300, 3 * N * Dh], { device });
    const [s, t] = [scale(1), scale(2)];
    await assertSameBitsForThreads(() => {
      const leaves = [leaf(x), leaf(s), leaf(t)] as const;
      const [q, k] = qkvNormRope([{ qkv: leaves[0], qScale: leaves[1], kScale: leaves[2] }], {
        heads: N,
      });
      const y = add(q, k);
      backward(y, randn(y.shape, { device, seed: 3 }));
      return [q, k, ...leaves.map((l) => l.grad!)];
    });
  });

  test("wrong shapes, dtypes and numbers are named", () => {
    const [x] = qkvs("float32");
    refuses(
      () => qkvNormRope([], { heads: N }),
      "ERR_RANGE",
      "qkvNormRope: streams: expected 1 or 2, got 0",
    );
    refuses(
      () => qkvNormRope([{ qkv: x! }], { heads: 4 }),
      "ERR_RANGE",
      "qkvNormRope: heads: expected a divisor of a third of qkv's 198 channels, got 4",
    );
    refuses(
      () => qkvNormRope([{ qkv: x! }, { qkv: randn([B + 1, 4, 3 * N * Dh]) }], { heads: N }),
      "ERR_SHAPE",
      "qkvNormRope: qkv: expected [2, any, 198], got [3, 4, 198]",
    );
    refuses(
      () => qkvNormRope([{ qkv: randn([B, 0, 3 * N * Dh]) }], { heads: N }),
      "ERR_SHAPE",
      "qkvNormRope: qkv: expected at least one element, got [2, 0, 198]",
    );
    refuses(
      () => qkvNormRope([{ qkv: x!, qScale: randn([Dh + 1], { device }) }], { heads: N }),
      "ERR_SHAPE",
      "qkvNormRope: qScale: expected [22], got [23]",
    );
    refuses(
      () => qkvNormRope([{ qkv: x!, kScale: scale(1, "bfloat16") }], { heads: N }),
      "ERR_DTYPE",
      "qkvNormRope: kScale: expected float32, got bfloat16",
    );
    refuses(
      () => qkvNormRope([{ qkv: x! }], { heads: N, rope: table() }),
      "ERR_SHAPE",
      "qkvNormRope: cos: expected [5, 11], got [42, 11]",
    );
    refuses(
      () => qkvNormRope([{ qkv: randn([1, 42, 99], { device }) }], { heads: 3, rope: table() }),
      "ERR_RANGE",
      "qkvNormRope: heads: expected an even head size for a rotation, got 11",
    );
  });
});
