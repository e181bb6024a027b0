import assert from "node:assert/strict";
import { backward } from "../../../ts/autograd/backward.js";
import { combine } from "../../../ts/ops/index.js";
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

const [B, L, D] = [3, 5, 97];
const coefficients = { x: [0.25, -1, 2], y: [0.75, 0, 0.125] };

forEachDevice("combine", (test, device) => {
  for (const a of ["float32", "bfloat16"] as const)
    for (const b of ["float32", "bfloat16"] as const)
      for (const dtype of ["float32", "bfloat16"] as const)
        test(`${a} and ${b} to ${dtype} is the definition`, async () => {
          const x = randn([B, L, D], { dtype: a, device });
          const y = randn([B, L, D], { dtype: b, device, seed: 1 });
          const [x64, y64] = await toFloat64(x, y);
          const sample = (i: number) => Math.floor(i / (L * D));
          const exact = x64.map(
            (v, i) => coefficients.x[sample(i)]! * v + coefficients.y[sample(i)]! * y64[i]!,
          );
          const out = combine(x, y, { ...coefficients, dtype });
          assert.equal(out.dtype, dtype);
          await assertRelative(out, exact, dtype === "float32" ? 2e-7 : 2 ** -8);
        });

  test("plain numbers serve every sample, and float32 wins", async () => {
    const x = randn([B, D], { device, dtype: "bfloat16" });
    const y = randn([B, D], { device, seed: 1 });
    const [x64, y64] = await toFloat64(x, y);
    const out = combine(x, y, { x: 0.5, y: -2 });
    assert.equal(out.dtype, "float32");
    assert.equal(combine(x, x, { x: 1, y: 1 }).dtype, "bfloat16");
    await assertRelative(
      out,
      x64.map((v, i) => 0.5 * v - 2 * y64[i]!),
      2e-7,
    );
  });

  test("a range that ends inside a sample keeps each sample's numbers", async () => {
    const x = randn([7, 5003], { device });
    const cx = [1, 2, 3, 4, 5, 6, 7];
    const [x64] = await toFloat64(x);
    await assertRelative(
      combine(x, x, { x: cx, y: 0 }),
      x64.map((v, i) => cx[Math.floor(i / 5003)]! * v),
      1e-7,
    );
  });

  test("backward agrees with central differences, bfloat16 with float32", async () => {
    const inputs = [randn([B, L, D], { device }), randn([B, L, D], { device, seed: 1 })];
    await checkGradients((x, y) => combine(x, y, coefficients), inputs);
    await checkBfloat16((x, y) => combine(x, y, coefficients), inputs);
  });

  test("inputs of two dtypes each get their gradient", async () => {
    const x = leaf(randn([B, D], { device, dtype: "bfloat16" }));
    const y = leaf(randn([B, D], { device, seed: 1 }));
    const doubled = combine(x, x, { x: 1, y: 1 }); // an activation in bfloat16
    const dout = randn([B, D], { device, seed: 2 });
    backward(combine(doubled, y, coefficients), dout);
    const [dout64] = await toFloat64(dout);
    const of = (c: readonly number[], times: number) =>
      dout64.map((v, i) => times * c[Math.floor(i / D)]! * v);
    await assertRelative(x.grad!, of(coefficients.x, 2), 2 ** -8);
    await assertRelative(y.grad!, of(coefficients.y, 1), 1e-7);
  });

  test("the bits do not depend on the number of threads", async () => {
    const x = randn([2, 50_001], { device });
    await assertSameBitsForThreads(() => [combine(x, x, { x: [1, 2], y: 0.5 })]);
  });

  test("another shape, count, dtype or number is named", () => {
    const x = randn([B, D], { device });
    refuses(
      () => combine(x, randn([B, D + 1], { device }), { x: 1, y: 1 }),
      "ERR_SHAPE",
      "combine: y: expected [3, 97], got [3, 98]",
    );
    refuses(
      () => combine(x, x, { x: [1, 2], y: 1 }),
      "ERR_SHAPE",
      "combine: coefficients.x: expected 3 numbers, one a sample, got 2",
    );
    refuses(
      () => combine(x, x, { x: 1, y: [1, NaN, 1] }),
      "ERR_RANGE",
      "combine: coefficients.y: expected finite numbers, got nan",
    );
    refuses(
      () => combine(x, x, { x: 1, y: 1, dtype: "int32" }),
      "ERR_DTYPE",
      "combine: dtype: expected float32 or bfloat16, got int32",
    );
    refuses(
      () => combine(randn([B, 0], { device }), x, { x: 1, y: 1 }),
      "ERR_SHAPE",
      "combine: x: expected at least one element, got [3, 0]",
    );
  });
});
