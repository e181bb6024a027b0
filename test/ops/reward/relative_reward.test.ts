import { add, l2Normalize, mse, relativeReward, sum } from "../../../ts/ops/index.js";
import { backward } from "../../../ts/autograd/backward.js";
import type { DType } from "../../../ts/tensor/dtype.js";
import type { Tensor } from "../../../ts/tensor/tensor.js";
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

const [B, W, E] = [3, 133, 41]; // odd on purpose
const k = [0.1, -0.25, 3];

/** The definition in float64. */
function definition(
  pooled: Float64Array,
  projection: Float64Array,
  positive: Float64Array,
  negative: Float64Array,
  scale: number,
) {
  const features = new Float64Array(B * E);
  const reward = k.map((rounded, b) => {
    const u = Float64Array.from({ length: E }, (_, e) => {
      let total = 0;
      for (let w = 0; w < W; ++w) total += pooled[b * W + w]! * projection[e * W + w]!;
      return total;
    });
    const norm = Math.sqrt(u.reduce((t, v) => t + v * v, 0));
    u.forEach((v, e) => (features[b * E + e] = v / norm));
    const k32 = Math.fround(rounded);
    return u.reduce((t, v, e) => {
      const i = b * E + e;
      return t + (scale * v * ((1 + k32) * positive[i]! - negative[i]!)) / norm;
    }, 0);
  });
  return { reward, features };
}

forEachDevice("relativeReward", (test, device) => {
  const inputs = (dtype: DType = "float32") => ({
    pooled: randn([B, W], { dtype, device, seed: 1 }),
    projection: randn([E, W], { dtype, device, seed: 2 }),
    positive: l2Normalize(randn([B, E], { dtype, device, seed: 3 })),
    negative: l2Normalize(randn([B, E], { device, seed: 4 })),
  });

  for (const dtype of ["float32", "bfloat16"] as const)
    test(`${dtype} is the definition`, async () => {
      const { pooled, projection, positive, negative } = inputs(dtype);
      const exact = definition(...(await toFloat64(pooled, projection, positive, negative)), 5);
      const got = relativeReward(pooled, projection, { positive, negative, k, scale: 5 });
      await assertRelative(got.reward, exact.reward, 3e-7);
      await assertRelative(got.features, exact.features, 3e-7);
    });

  const { positive, negative } = inputs();
  const reward = (pooled: Tensor, projection: Tensor) =>
    relativeReward(pooled, projection, { positive, negative, k, scale: 2 });

  test("backward agrees with central differences, through either output and both", async () => {
    const { pooled, projection } = inputs();
    await checkGradients((a, b) => reward(a, b).reward, [pooled, projection]);
    await checkGradients((a, b) => reward(a, b).features, [pooled, projection]);
    const both = (a: Tensor, b: Tensor) => {
      const got = reward(a, b);
      return add(sum(got.reward), mse(got.features, positive));
    };
    await checkGradients(both, [pooled, projection]);
  });

  test("the projection's gradient is added to what is there", async () => {
    const { pooled, projection } = inputs();
    const [once, twice] = [leaf(projection), leaf(projection)];
    backward(sum(reward(pooled, once).reward));
    backward(sum(reward(pooled, twice).reward));
    backward(sum(reward(pooled, twice).reward));
    const [single] = await toFloat64(once.grad!);
    await assertRelative(
      twice.grad!,
      single.map((v) => 2 * v),
      1e-7,
    );
  });

  test("bfloat16 agrees with float32", async () => {
    const { pooled, projection } = inputs();
    await checkBfloat16((a, b) => reward(a, b).reward, [pooled, projection]);
  });

  test("the bits do not depend on the number of threads", () =>
    assertSameBitsForThreads(() => {
      const { pooled, projection } = inputs();
      const [a, b] = [leaf(pooled), leaf(projection)];
      const got = reward(a, b);
      backward(sum(got.reward));
      return [got.reward, got.features, a.grad!, b.grad!];
    }));

  test("each refusal names its argument", () => {
    const { pooled, projection } = inputs();
    refuses(
      () => relativeReward(pooled, randn([E, W - 1], { device }), { positive, negative, k }),
      "ERR_SHAPE",
      `relativeReward: projection: expected [any, ${W}], got [${E}, ${W - 1}]`,
    );
    refuses(
      () =>
        relativeReward(pooled, projection, { positive, negative: randn([1, E], { device }), k }),
      "ERR_SHAPE",
      `relativeReward: negative: expected [${B}, ${E}], got [1, ${E}]`,
    );
    refuses(
      () => relativeReward(pooled, projection, { positive, negative, k: [1] }),
      "ERR_SHAPE",
      `relativeReward: k: expected ${B} numbers, got 1`,
    );
    refuses(
      () => relativeReward(pooled, projection, { positive, negative, k: [1, NaN, 0] }),
      "ERR_RANGE",
      "relativeReward: k: expected finite numbers, got nan",
    );
  });
});
