import { mean, reshape, sum } from "../../../ts/ops/index.js";
import { tensor, zeros } from "../../../ts/tensor/tensor.js";
import {
  assertRelative,
  assertSameBitsForThreads,
  checkBfloat16,
  checkGradients,
  forEachDevice,
  randn,
  refuses,
  toFloat64,
} from "../../support/index.js";

for (const [name, op] of [
  ["sum", sum],
  ["mean", mean],
] as const)
  forEachDevice(name, (test, device) => {
    const definition = (x: Float64Array): number[] => {
      const total = x.reduce((t, v) => t + v, 0);
      return [name === "sum" ? total : total / x.length];
    };

    for (const dtype of ["float32", "bfloat16"] as const)
      test(`${dtype} is the definition, for sizes around a block`, async () => {
        for (const shape of [[1], [3, 5, 7], [32767], [5, 13109]]) {
          const x = randn(shape, { dtype, device, seed: shape.length });
          await assertRelative(op(x), definition(...(await toFloat64(x))), 2e-7);
        }
      });

    test("cancelling numbers lose nothing", async () => {
      const x = tensor([1e8, 1, -1e8, 2], [4], { device });
      await assertRelative(op(x), [name === "sum" ? 3 : 0.75], 1e-7);
    });

    test("backward agrees with central differences", async () => {
      await checkGradients((x) => op(x), [randn([3, 37], { device })]);
      await checkGradients((x) => op(reshape(x, [37, 3])), [randn([3, 37], { device })]);
    });

    test("bfloat16 agrees with float32", () =>
      checkBfloat16((x) => op(x), [randn([3, 37], { device })]));

    test("the bits do not depend on the number of threads", () =>
      assertSameBitsForThreads(() => [op(randn([200_003], { device }))]));

    test("nothing, and integers, are refused", () => {
      refuses(
        () => op(zeros([2, 0], { device })),
        "ERR_SHAPE",
        `${name}: x: expected at least one element, got [2, 0]`,
      );
      refuses(
        () => op(zeros([2], { device, dtype: "int32" })),
        "ERR_DTYPE",
        `${name}: x: expected float32 or bfloat16, got int32`,
      );
    });
  });
