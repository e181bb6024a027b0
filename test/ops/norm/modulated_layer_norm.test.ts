import { backward } from "../../../ts/autograd/backward.js";
import { modulatedLayerNorm } from "../../../ts/ops/index.js";
import type { DType } from "../../../ts/tensor/dtype.js";
import { tensor } from "../../../ts/tensor/tensor.js";
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

const [B, L, D] = [2, 5, 97]; // odd on purpose: no block size divides them
const sizes = [L, D] as const;

/** The definition as the paper writes it, in float64. */
function definition(
  x: Float64Array,
  scale: Float64Array,
  shift: Float64Array,
  [L, D]: readonly [number, number] = sizes,
): Float64Array {
  const y = new Float64Array(x.length);
  for (let begin = 0; begin < x.length; begin += D) {
    const row = x.subarray(begin, begin + D);
    const mean = row.reduce((sum, v) => sum + v, 0) / D;
    const variance = row.reduce((sum, v) => sum + (v - mean) ** 2, 0) / D;
    const sample = Math.floor(begin / (L * D)) * D;
    row.forEach((value, d) => {
      const xhat = (value - mean) / Math.sqrt(variance + 1e-6);
      y[begin + d] = (1 + scale[sample + d]!) * xhat + shift[sample + d]!;
    });
  }
  return y;
}

forEachDevice("modulatedLayerNorm", (test, device) => {
  const inputs = (dtype: DType) =>
    [
      randn([B, L, D], { dtype, device, seed: 0 }),
      randn([B, D], { dtype, device, seed: 1 }),
      randn([B, D], { dtype, device, seed: 2 }),
    ] as const;

  for (const [dtype, tolerance] of [
    ["float32", 3e-7],
    ["bfloat16", 2 ** -8],
  ] as const)
    test(`${dtype} forward is the definition`, async () => {
      const [x, scale, shift] = inputs(dtype);
      const exact = definition(...(await toFloat64(x, scale, shift)));
      await assertRelative(modulatedLayerNorm(x, scale, shift), exact, tolerance);
    });

  // Rows of every number of packs that a lane holds, rows that none holds, and many rows.
  for (const of of [
    [3, 1032],
    [5, 1288],
    [3, 3072],
    [3, 4104],
    [2, 8200],
    [2, 1101],
    [600, 40],
  ] as const)
    test(`${of.join(" x ")}: definition and gradients`, async () => {
      const [rows, width] = of;
      const all = [
        randn([2, rows, width], { device, seed: 0 }),
        randn([2, width], { device, seed: 1 }),
        randn([2, width], { device, seed: 2 }),
      ] as const;
      const exact = definition(...(await toFloat64(...all)), of);
      await assertRelative(modulatedLayerNorm(...all), exact, 5e-7);
      await checkGradients((x, a, b) => modulatedLayerNorm(x, a, b), all, { directions: 1 });
      await checkBfloat16((x, a, b) => modulatedLayerNorm(x, a, b), all);
    });

  test("a mean far above the deviation does not cancel", async () => {
    const [x, scale, shift] = inputs("float32");
    const far = tensor(
      (await x.read()).map((v) => v + 1000),
      [B, L, D],
      { device },
    );
    const exact = definition(...(await toFloat64(far, scale, shift)));
    // float32 holds 1000 + v to 6e-5 / 2, and the mean no better.
    await assertRelative(modulatedLayerNorm(far, scale, shift), exact, 1e-4);
  });

  test("backward agrees with central differences", async () => {
    await checkGradients((x, a, b) => modulatedLayerNorm(x, a, b), inputs("float32"));
  });

  test("bfloat16 agrees with float32", async () => {
    await checkBfloat16((x, a, b) => modulatedLayerNorm(x, a, b), inputs("float32"));
  });

  test("the bits do not depend on the number of threads", async () => {
    const x = randn([2, 300, 65], { device });
    const [scale, shift] = [randn([2, 65], { device }), randn([2, 65], { device })];
    await assertSameBitsForThreads(() => {
      const leaves = [leaf(x), leaf(scale), leaf(shift)] as const;
      const y = modulatedLayerNorm(...leaves);
      backward(y, x);
      return [y, ...leaves.map((t) => t.grad!)];
    });
  });

  test("a scale of the wrong width is named", () => {
    const [x, , shift] = inputs("float32");
    refuses(
      () => modulatedLayerNorm(x, randn([B, D - 1], { device }), shift),
      "ERR_SHAPE",
      "modulatedLayerNorm: scale: expected [2, 97], got [2, 96]",
    );
  });

  test("a scale of another dtype, no rows, and a freed tensor are named", () => {
    const [x, scale, shift] = inputs("float32");
    refuses(
      () => modulatedLayerNorm(x, randn([B, D], { device, dtype: "bfloat16" }), shift),
      "ERR_DTYPE",
      "modulatedLayerNorm: scale: expected float32, got bfloat16",
    );
    refuses(
      () => modulatedLayerNorm(randn([B, 0, D], { device }), scale, shift),
      "ERR_SHAPE",
      "modulatedLayerNorm: x: expected at least one element, got [2, 0, 97]",
    );
    x.dispose();
    refuses(
      () => modulatedLayerNorm(x, scale, shift),
      "ERR_DISPOSED",
      "modulatedLayerNorm: x: expected a live tensor, got one that was disposed of",
    );
  });
});
