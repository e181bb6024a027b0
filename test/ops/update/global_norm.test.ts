import assert from "node:assert/strict";
import { countNonFinite, globalNorm, mul } from "../../../ts/ops/index.js";
import { tensor, zeros } from "../../../ts/tensor/tensor.js";
import {
  assertRelative,
  assertSameBitsForThreads,
  forEachDevice,
  randn,
  refuses,
  toFloat64,
} from "../../support/index.js";

forEachDevice("globalNorm", (test, device) => {
  for (const dtype of ["float32", "bfloat16"] as const)
    test(`${dtype} is the definition, for sizes around a block`, async () => {
      for (const n of [1, 17, 32769, 100_003]) {
        const grad = randn([n], { dtype, device, seed: n });
        const [exact] = await toFloat64(grad);
        const norm = Math.sqrt(exact.reduce((t, g) => t + g * g, 0));
        await assertRelative(globalNorm(grad), [norm], 1e-7);
      }
    });

  test("squares neither overflow nor vanish", async () => {
    const ends = tensor([3e30, 4e30], [2], { device });
    await assertRelative(globalNorm(ends), [5e30], 1e-7);
    await assertRelative(globalNorm(tensor([3e-30, 4e-30], [2], { device })), [5e-30], 1e-7);
  });

  test("a range is a view", async () => {
    const grad = randn([1000], { device });
    const [exact] = await toFloat64(grad);
    const part = exact.subarray(100, 333);
    const norm = Math.sqrt(part.reduce((t, g) => t + g * g, 0));
    await assertRelative(globalNorm(grad.viewOf(100, [233])), [norm], 1e-7);
  });

  test("what is known is not read, what is not is, wherever it begins", async () => {
    for (const dtype of ["float32", "bfloat16"] as const) {
      const n = 200_000;
      const grad = randn([n], { dtype, device, seed: 3 });
      const [exact] = await toFloat64(grad);
      const between = [
        [0, 5],
        [77, 1],
        [101, 70_003],
        [150_000, 50_000],
      ] as const;
      const squares = (from: number, to: number) =>
        exact.subarray(from, to).reduce((t, g) => t + g * g, 0);
      const known = [squares(5, 77), squares(78, 101), squares(70_104, 150_000), 0];
      const norm = globalNorm(grad, {
        squares: tensor(known, [2, 2], { device }),
        ranges: between.flat(),
      });
      await assertRelative(norm, [Math.sqrt(squares(0, n))], 1e-7, dtype);
      const other = globalNorm(grad, { squares: tensor([9, 16], [2], { device }), ranges: [] });
      await assertRelative(other, [5], 1e-7);
    }
  });

  test("squares that a float does not hold are not trusted", async () => {
    for (const [values, square] of [
      [[3e30, 4e30], Infinity],
      [[3e-30, 4e-30], 0],
      [[3, 4], NaN],
    ] as const) {
      const grad = tensor(values, [2], { device });
      const known = { squares: tensor([square], [1], { device }), ranges: [] };
      const norm = globalNorm(grad, known);
      await assertRelative(norm, [Math.hypot(...values)], 1e-7);
    }
  });

  test("one number that is not finite is seen wherever it stands, and counted", async () => {
    const counter = zeros([1], { dtype: "int32", device });
    for (const bad of [NaN, Infinity, -Infinity])
      for (const at of [0, 15, 32768, 99_999]) {
        const values = new Float32Array(100_000).fill(0.5);
        values[at] = bad;
        const norm = globalNorm(tensor(values, [100_000], { device }));
        countNonFinite(counter, norm);
        assert.ok(!Number.isFinite(await norm.item()), `${bad} at ${at}`);
      }
    countNonFinite(counter, globalNorm(randn([10], { device })));
    assert.equal(await counter.item(), 12);
  });

  test("the bits do not depend on the number of threads", () =>
    assertSameBitsForThreads(() => {
      const grad = randn([300_007], { device });
      const squares = randn([40_000], { device, seed: 2 });
      const known = { squares: mul(squares, squares), ranges: [3, 100_000, 200_000, 70_000] };
      return [globalNorm(grad), globalNorm(grad, known)];
    }));

  test("each refusal names its argument", () => {
    refuses(
      () => globalNorm(zeros([0], { device })),
      "ERR_SHAPE",
      "globalNorm: grad: expected at least one element, got [0]",
    );
    const grad = zeros([7], { device });
    refuses(
      () => globalNorm(grad, { squares: zeros([1], { device }), ranges: [1, 7] }),
      "ERR_RANGE",
      "globalNorm: ranges: expected ranges within 7 elements, got 7 from 1",
    );
    refuses(
      () => globalNorm(grad, { squares: zeros([1], { device }), ranges: [1] }),
      "ERR_RANGE",
      "globalNorm: ranges: expected a begin and a count of each, got 1 numbers",
    );
    refuses(
      () => globalNorm(grad, { squares: zeros([1], { dtype: "bfloat16", device }), ranges: [] }),
      "ERR_DTYPE",
      "globalNorm: squares: expected float32, got bfloat16",
    );
    refuses(
      () => countNonFinite(zeros([1], { device }), zeros([1], { device })),
      "ERR_DTYPE",
      "countNonFinite: counter: expected int32, got float32",
    );
  });
});
