import assert from "node:assert/strict";
import { backward } from "../../../ts/autograd/backward.js";
import { hinge } from "../../../ts/ops/index.js";
import { tensor } from "../../../ts/tensor/tensor.js";
import {
  assertRelative,
  checkBfloat16,
  checkGradients,
  forEachDevice,
  leaf,
  randn,
  refuses,
  toFloat64,
} from "../../support/index.js";

forEachDevice("hinge", (test, device) => {
  const definition = (reward: Float64Array, margin: number, weight: number) => [
    (weight * reward.reduce((t, r) => t + Math.max(margin - r, 0), 0)) / reward.length,
  ];

  for (const dtype of ["float32", "bfloat16"] as const)
    test(`${dtype} is the definition`, async () => {
      for (const B of [1, 7, 33]) {
        const reward = randn([B], { dtype, device, seed: B });
        const [exact] = await toFloat64(reward);
        const y = hinge(reward, { margin: 0.7, weight: 0.5 });
        await assertRelative(y, definition(exact, 0.7, 0.5), 2e-7);
      }
    });

  test("backward agrees with central differences", () =>
    checkGradients((r) => hinge(r, { margin: 0.3, weight: 2 }), [randn([9], { device, seed: 5 })], {
      step: 1e-3,
    }));

  test("bfloat16 agrees with float32", () =>
    checkBfloat16((r) => hinge(r), [randn([9], { device })]));

  test("SRPO's slope is -1/branches, and 0 from the margin on", async () => {
    const reward = leaf(tensor([0.28, 0.75, 0.7], [3], { device }));
    backward(hinge(reward, { margin: Math.fround(0.7), weight: 0.5 }));
    assert.deepEqual([...(await reward.grad!.read())], [Math.fround(-0.5 / 3), 0, 0]);
  });

  test("a reward that is not a number gives such a loss", async () => {
    assert.ok(Number.isNaN(await hinge(tensor([0, NaN], [2], { device })).item()));
  });

  test("a reward of another rank is named", () => {
    refuses(
      () => hinge(randn([2, 3], { device })),
      "ERR_SHAPE",
      "hinge: reward: expected [B], got [2, 3]",
    );
  });
});
