import assert from "node:assert/strict";
import { softmaxCrossEntropy } from "../../../ts/ops/index.js";
import { tensor } from "../../../ts/tensor/tensor.js";
import {
  assertRelative,
  assertSameBitsForThreads,
  checkBfloat16,
  checkGradients,
  forEachDevice,
  randn,
  refuses,
  toFloat64,
  uniforms,
} from "../../support/index.js";

forEachDevice("softmaxCrossEntropy", (test, device) => {
  const targets = (B: number, C: number) =>
    tensor(uniforms(B, 3, 0, C).map(Math.floor), [B], { dtype: "int32", device });

  for (const dtype of ["float32", "bfloat16"] as const)
    test(`${dtype} is the definition`, async () => {
      for (const [B, C] of [
        [1, 2],
        [5, 37],
        [300, 101],
      ] as const) {
        const logits = randn([B, C], { dtype, device, scale: 3 });
        const target = targets(B, C);
        const [x, t] = await toFloat64(logits, target);
        let exact = 0;
        for (let b = 0; b < B; ++b) {
          const row = x.subarray(b * C, b * C + C);
          exact += Math.log(row.reduce((s, v) => s + Math.exp(v), 0)) - row[t[b]!]!;
        }
        await assertRelative(softmaxCrossEntropy(logits, target), [exact / B], 3e-7);
      }
    });

  test("backward agrees with central differences", () =>
    checkGradients((x) => softmaxCrossEntropy(x, targets(5, 7)), [randn([5, 7], { device })]));

  test("bfloat16 agrees with float32", () =>
    checkBfloat16((x) => softmaxCrossEntropy(x, targets(5, 7)), [randn([5, 7], { device })]));

  test("large logits do not overflow", async () => {
    const logits = tensor([1e4, 1e4 - 1, -1e4], [1, 3], { device });
    const target = tensor([1], [1], { dtype: "int32", device });
    const exact = 1 + Math.log(1 + Math.exp(-1));
    await assertRelative(softmaxCrossEntropy(logits, target), [exact], 1e-6);
  });

  test("the bits do not depend on the number of threads", () =>
    assertSameBitsForThreads(() => [
      softmaxCrossEntropy(randn([300, 101], { device }), targets(300, 101)),
    ]));

  test("each refusal names its argument", async () => {
    const logits = randn([2, 3], { device });
    refuses(
      () => softmaxCrossEntropy(logits, targets(3, 3)),
      "ERR_SHAPE",
      "softmaxCrossEntropy: target: expected [2], got [3]",
    );
    refuses(
      () => softmaxCrossEntropy(logits, randn([2], { device })),
      "ERR_DTYPE",
      "softmaxCrossEntropy: target: expected int32, got float32",
    );
    const beyond = tensor([0, 3], [2], { dtype: "int32", device });
    await assert.rejects(softmaxCrossEntropy(logits, beyond).read(), {
      code: "ERR_RANGE",
      message: "softmaxCrossEntropy: target: expected 0 to 2, got 3",
    });
  });
});
