import assert from "node:assert/strict";
import { countNonFinite, globalNorm } from "../../../ts/ops/index.js";
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
    assertSameBitsForThreads(() => [globalNorm(randn([300_007], { device }))]));

  test("each refusal names its argument", () => {
    refuses(
      () => globalNorm(zeros([0], { device })),
      "ERR_SHAPE",
      "globalNorm: grad: expected at least one element, got [0]",
    );
    refuses(
      () => countNonFinite(zeros([1], { device }), zeros([1], { device })),
      "ERR_DTYPE",
      "countNonFinite: counter: expected int32, got float32",
    );
  });
});
