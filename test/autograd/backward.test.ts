import assert from "node:assert/strict";
import { backward } from "../../ts/autograd/backward.js";
import { recompute } from "../../ts/autograd/recompute.js";
import { noGrad } from "../../ts/autograd/tape.js";
import { add, cast, modulatedLayerNorm, reshape } from "../../ts/ops/index.js";
import { tensor, type Tensor } from "../../ts/tensor/tensor.js";
import { checkGradients, forEachDevice, leaf, randn } from "../support/index.js";

forEachDevice("backward", (test, device) => {
  const inputs = () =>
    [
      randn([2, 3, 17], { device, seed: 1 }),
      randn([2, 17], { device, seed: 2 }),
      randn([2, 17], { device, seed: 3 }),
    ] as const;
  const twice = (x: Tensor, a: Tensor, b: Tensor) =>
    modulatedLayerNorm(add(modulatedLayerNorm(x, a, b), x), b, a);

  test("a tensor used several times gets the sum", async () => {
    const x = leaf(tensor([1, 2, 3], [3], { device }));
    const y = add(add(x, x), x);
    backward(y, tensor([1, 10, 100], [3], { device }));
    assert.deepEqual([...(await x.grad!.read())], [3, 30, 300]);
    backward(add(x, x), tensor([1, 1, 1], [3], { device }));
    assert.deepEqual([...(await x.grad!.read())], [5, 32, 302], "a second backward adds");
  });

  test("gradients flow through compositions, reshapes and casts", async () => {
    await checkGradients((x, a, b) => twice(x, a, b), inputs());
    await checkGradients((x) => reshape(x, [6, -1]), [inputs()[0]]);
    const x = leaf(tensor([1, 2], [2], { device }));
    backward(cast(cast(x, "bfloat16"), "float32"), tensor([3, 4], [2], { device }));
    assert.deepEqual([...(await x.grad!.read())], [3, 4]);
  });

  test("recompute gives the same gradients, bit for bit", async () => {
    const run = async (recomputed: boolean) => {
      const [x, a, b] = inputs().map(leaf) as [Tensor, Tensor, Tensor];
      const [y] = recomputed
        ? recompute((...t) => [twice(t[0]!, t[1]!, t[2]!)], x, a, b)
        : [twice(x, a, b)];
      backward(y!, randn(y!.shape, { device, seed: 9 }));
      return Promise.all([x, a, b].map(async (t) => [...(await t.grad!.read())]));
    };
    assert.deepEqual(await run(true), await run(false));
  });

  test("recompute reaches leaves that its function captures", async () => {
    const [x, a, b] = inputs();
    const [scale, shift] = [leaf(a), leaf(b)];
    const [y] = recompute((t) => [modulatedLayerNorm(t, scale, shift)], x);
    backward(y!, randn(y!.shape, { device, seed: 9 }));
    assert.ok(scale.grad !== undefined && shift.grad !== undefined);
  });

  test("nothing is recorded without need", () => {
    const [x, a, b] = inputs();
    assert.equal(twice(x, a, b).requiresGrad, false);
    assert.equal(noGrad(() => add(leaf(x), x)).requiresGrad, false);
    assert.throws(() => backward(add(x, x)), { code: "ERR_GRADIENT" });
    assert.throws(() => backward(add(leaf(x), x)), { code: "ERR_SHAPE" });
  });
});
