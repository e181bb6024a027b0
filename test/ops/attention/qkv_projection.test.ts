import assert from "node:assert/strict";
import { backward } from "../../../ts/autograd/backward.js";
import { asRecorded, noGrad } from "../../../ts/autograd/tape.js";
import { add, cast, linear, qkvNormRope, qkvProjection, ropeTable } from "../../../ts/ops/index.js";
import type { DType } from "../../../ts/tensor/dtype.js";
import {
  assertRelative,
  assertSameBitsForThreads,
  forEachDevice,
  leaf,
  randn,
  refuses,
  toFloat64,
} from "../../support/index.js";

type Streams = Parameters<typeof qkvProjection>[0];
type Options = Parameters<typeof qkvProjection>[1];

/** The two ops that it is made of. */
const composed = (streams: Streams, options: Options) =>
  qkvNormRope(
    streams.map(({ x, w, b, ...scales }) => ({ qkv: linear(x, w, b ?? null), ...scales })),
    options,
  );

/** As one op. */
const fused = (streams: Streams, options: Options) => noGrad(() => qkvProjection(streams, options));

forEachDevice("qkvProjection", (test, device) => {
  /** One stream a length, with everything that may be given. */
  const streamsOf = (
    dtype: DType,
    B: number,
    lengths: readonly number[],
    [N, Dh]: readonly [number, number],
    D: number,
  ) =>
    lengths.map((length, i) => ({
      x: randn([B, length, D], { dtype, device, seed: 10 * i }),
      w: randn([3 * N * Dh, D], { dtype, device, seed: 10 * i + 1 }),
      b: randn([3 * N * Dh], { dtype, device, seed: 10 * i + 2 }),
      qScale: randn([Dh], { dtype, device, seed: 10 * i + 3 }),
      kScale: randn([Dh], { dtype, device, seed: 10 * i + 4 }),
    }));
  const table = (L: number, Dh: number) =>
    ropeTable(
      Array.from({ length: L }, (_, l) => [l, (l * 7) % 11]),
      [Dh / 4, (3 * Dh) / 4],
      100,
      { device },
    );

  test("float32 has the bits of linear and qkvNormRope", async () => {
    const streams = streamsOf("float32", 2, [5, 9], [3, 8], 20);
    const rope = table(14, 8);
    const given = [
      streams,
      streams.slice(0, 1),
      streams.map(({ x, w, kScale }) => ({ x, w, kScale })),
    ];
    for (const each of given) {
      const options = { heads: 3, rope: each.length === 2 ? rope : null };
      const [actual, expected] = [fused(each, options), composed(each, options)];
      for (const i of [0, 1, 2] as const)
        assert.deepEqual(await actual[i].read(), await expected[i].read());
    }
  });

  // Heads of 128 reach the product with heads on its way out: rows that no tile divides, samples that end
  // within a tile, and sizes and places that it leaves to the two ops.
  for (const [what, B, lengths, N, Dh, D] of [
    ["ragged rows, samples within a tile", 2, [37, 75], 2, 128, 72],
    ["tiles cut along K", 1, [70, 5], 1, 128, 328],
    ["many tiles", 3, [90], 3, 128, 64],
    ["rows that are not aligned", 2, [7, 5], 2, 128, 67],
    ["other heads", 2, [7, 5], 2, 32, 64],
  ] as const)
    test(`bfloat16, ${what}: the definition, rounded once`, async () => {
      const streams = streamsOf("bfloat16", B, lengths, [N, Dh], D);
      const rope = table(
        lengths.reduce((sum, length) => sum + length, 0),
        Dh,
      );
      const plain = streams.map(({ x, w }) => ({ x, w }));
      const halves = streams.map(({ x, w, b, qScale }) => ({ x, w, b, qScale }));
      for (const [given, turned] of [
        [streams, true],
        [plain, true],
        [halves, false],
      ] as const) {
        const actual = fused(given, { heads: N, rope: turned ? rope : null });
        // In float32 on the same numbers, so that nothing between is rounded.
        const wide = given.map(
          (stream) =>
            Object.fromEntries(
              Object.entries(stream).map(([name, t]) => [name, cast(t, "float32")]),
            ) as unknown as Streams[0],
        );
        const exact = composed(wide, { heads: N, rope: turned ? rope : null });
        for (const part of [0, 1, 2] as const) {
          const [expected] = await toFloat64(exact[part]);
          await assertRelative(actual[part], expected, 2 ** -7, `part ${part}`);
        }
      }
    });

  test("where ops record it is linear and qkvNormRope, gradients too", async () => {
    const run = async (call: typeof composed) => {
      const [stream] = streamsOf("bfloat16", 1, [9], [1, 128], 64);
      const leaves = Object.values(stream!).map((t) => leaf(t));
      const [x, w, b, qScale, kScale] = leaves;
      const [q, k, v] = call([{ x: x!, w: w!, b: b!, qScale: qScale!, kScale: kScale! }], {
        heads: 1,
      });
      const y = add(add(q, k), v);
      backward(y, randn(y.shape, { dtype: "bfloat16", device, seed: 3 }));
      return Promise.all([y, ...leaves.map((l) => l.grad!)].map((t) => t.read()));
    };
    assert.deepEqual(await run(qkvProjection), await run(composed));
  });

  test("a forward that is compared with a recorded one has its bits", async () => {
    const streams = streamsOf("bfloat16", 1, [9], [1, 128], 64);
    const [q] = asRecorded(() => qkvProjection(streams, { heads: 1 }));
    const [recorded] = composed(streams, { heads: 1 });
    assert.equal(q.requiresGrad, false);
    assert.deepEqual(await q.read(), await recorded.read());
  });

  test("leaves are used without being recorded in noGrad", () => {
    const [stream] = streamsOf("float32", 1, [3], [1, 8], 8);
    const w = leaf(stream!.w);
    const [q] = noGrad(() => qkvProjection([{ x: stream!.x, w }], { heads: 1 }));
    assert.equal(q.requiresGrad, false);
  });

  test("the bits do not depend on the number of threads", async () => {
    const streams = streamsOf("float32", 2, [40, 70], [2, 32], 48);
    await assertSameBitsForThreads(() => fused(streams, { heads: 2, rope: table(110, 32) }));
  });

  test("wrong shapes, dtypes and numbers are named", () => {
    const [one, two] = streamsOf("float32", 2, [3, 4], [3, 8], 20);
    const call = (change: Partial<Streams[0]>, heads = 3) =>
      fused([{ ...one!, ...change }, two!], { heads, rope: table(7, 8) });
    refuses(
      () => fused([], { heads: 1 }),
      "ERR_RANGE",
      "qkvProjection: streams: expected 1 or 2, got 0",
    );
    refuses(
      () => call({}, 5),
      "ERR_RANGE",
      "qkvProjection: heads: expected a divisor of a third of w's 72 rows, got 5",
    );
    refuses(
      () => call({ x: randn([2, 20], { device }) }),
      "ERR_SHAPE",
      "qkvProjection: x: expected [B, L, D], got [2, 20]",
    );
    refuses(
      () => call({ w: randn([72, 19], { device }) }),
      "ERR_SHAPE",
      "qkvProjection: w: expected [72, 20], got [72, 19]",
    );
    refuses(
      () => call({ b: randn([71], { device }) }),
      "ERR_SHAPE",
      "qkvProjection: b: expected [72], got [71]",
    );
    refuses(
      () => call({ kScale: randn([8], { device, dtype: "bfloat16" }) }),
      "ERR_DTYPE",
      "qkvProjection: kScale: expected float32, got bfloat16",
    );
    refuses(
      () => call({ x: randn([2, 0, 20], { device }) }),
      "ERR_SHAPE",
      "qkvProjection: x: expected at least one element, got [2, 0, 20]",
    );
    refuses(
      () => fused([one!], { heads: 3, rope: table(7, 8) }),
      "ERR_SHAPE",
      "qkvProjection: cos: expected [3, 4], got [7, 4]",
    );
    refuses(
      () => fused([one!], { heads: 3, eps: -1 }),
      "ERR_RANGE",
      "qkvProjection: eps: expected a finite number of at least 0, got -1.000000",
    );
  });
});
