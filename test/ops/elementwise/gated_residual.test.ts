import { backward } from "../../../ts/autograd/backward.js";
import { gatedResidual } from "../../../ts/ops/index.js";
import type { DType } from "../../../ts/tensor/dtype.js";
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

forEachDevice("gatedResidual", (test, device) => {
  const inputs = (dtype: DType) =>
    [
      randn([B, L, D], { dtype, device, seed: 0 }),
      randn([B, D], { dtype, device, seed: 1 }),
      randn([B, L, D], { dtype, device, seed: 2 }),
    ] as const;

  for (const [dtype, tolerance] of [
    ["float32", 1e-7],
    ["bfloat16", 2 ** -8],
  ] as const)
    test(`${dtype} forward is the definition`, async () => {
      const [x, gate, y] = inputs(dtype);
      const [x64, gate64, y64] = await toFloat64(x, gate, y);
      const exact = x64.map((v, i) => v + gate64[Math.floor(i / (L * D)) * D + (i % D)]! * y64[i]!);
      await assertRelative(gatedResidual(x, gate, y), exact, tolerance);
    });

  test("many rows in packs", async () => {
    const big = [
      randn([2, 150, 264], { device, seed: 0 }),
      randn([2, 264], { device, seed: 1 }),
      randn([2, 150, 264], { device, seed: 2 }),
    ] as const;
    const [x64, gate64, y64] = await toFloat64(...big);
    const exact = x64.map(
      (v, i) => v + gate64[Math.floor(i / (150 * 264)) * 264 + (i % 264)]! * y64[i]!,
    );
    await assertRelative(gatedResidual(...big), exact, 1e-7);
    await checkGradients((x, gate, y) => gatedResidual(x, gate, y), big);
    await checkBfloat16((x, gate, y) => gatedResidual(x, gate, y), big);
  });

  test("backward agrees with central differences, bfloat16 with float32", async () => {
    await checkGradients((x, gate, y) => gatedResidual(x, gate, y), inputs("float32"));
    await checkBfloat16((x, gate, y) => gatedResidual(x, gate, y), inputs("float32"));
  });

  test("the bits do not depend on the number of threads", async () => {
    const x = randn([2, 300, 65], { device });
    const gate = randn([2, 65], { device, seed: 1 });
    await assertSameBitsForThreads(() => {
      const [gates, ys] = [leaf(gate), leaf(x)];
      const out = gatedResidual(x, gates, ys);
      backward(out, x);
      return [out, gates.grad!, ys.grad!];
    });
  });

  test("a wrong shape, dtype, rank or size is named", () => {
    const [x, gate, y] = inputs("float32");
    refuses(
      () => gatedResidual(x, randn([B, L, D], { device }), y),
      "ERR_SHAPE",
      "gatedResidual: gate: expected [2, 97], got [2, 5, 97]",
    );
    refuses(
      () => gatedResidual(x, gate, randn([B, L + 1, D], { device })),
      "ERR_SHAPE",
      "gatedResidual: y: expected [2, 5, 97], got [2, 6, 97]",
    );
    refuses(
      () => gatedResidual(x, randn([B, D], { device, dtype: "bfloat16" }), y),
      "ERR_DTYPE",
      "gatedResidual: gate: expected float32, got bfloat16",
    );
    refuses(
      () => gatedResidual(gate, gate, gate),
      "ERR_SHAPE",
      "gatedResidual: x: expected [B, L, D], got [2, 97]",
    );
    refuses(
      () => gatedResidual(randn([B, 0, D], { device }), gate, y),
      "ERR_SHAPE",
      "gatedResidual: x: expected at least one element, got [2, 0, 97]",
    );
  });
});
