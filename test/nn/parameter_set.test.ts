import assert from "node:assert/strict";
import { add } from "../../ts/ops/index.js";
import { backward } from "../../ts/autograd/backward.js";
import { linearParameters, normParameters } from "../../ts/nn/parameter.js";
import { ParameterSet } from "../../ts/nn/parameter_set.js";
import { tensorScope } from "../../ts/tensor/scope.js";
import { tensor } from "../../ts/tensor/tensor.js";
import { forEachDevice } from "../support/index.js";

const declared = [...linearParameters("a", 3, 5), ...normParameters("b", 7)];

forEachDevice("ParameterSet", (test, device) => {
  for (const [dtype, step] of [
    ["float32", 16],
    ["bfloat16", 32],
  ] as const)
    test(`${dtype} parameters start on 64 bytes, in the order of their declaration`, async () => {
      const set = ParameterSet.create(declared, { dtype, device, trainable: true });
      const offsets = set.ranges.map(({ offset }) => offset);
      assert.deepEqual(offsets, [0, step, 2 * step, 3 * step]);
      assert.equal(set.count, 15 + 5 + 7 + 7);
      assert.equal(set.weights.size, 4 * step);
      assert.deepEqual(set.gradients?.shape, set.weights.shape);
      assert.equal(set.gradients?.dtype, "float32");
      assert.ok((await set.weights.read()).every((v) => v === 0));
      set.dispose();
    });

  test("flat buffers are filled up to a multiple; the parameters lie where they lay", async () => {
    const options = { device, trainable: true };
    const [own, filled] = [
      ParameterSet.create(declared, options),
      ParameterSet.create(declared, { ...options, multiple: 3 * 256 }),
    ];
    assert.equal(own.length, own.weights.size);
    assert.equal(filled.length, own.length);
    assert.equal(filled.weights.size, 768);
    assert.equal(filled.gradients!.size, 768);
    assert.deepEqual(filled.ranges, own.ranges);
    own.dispose();
    filled.dispose();
  });

  test("parameters are views of the flat buffers, and so are their rows", async () => {
    const set = ParameterSet.create(declared, { device, trainable: true });
    set.get("a.weight").copyFrom(tensor([...Array(15).keys()], [5, 3], { device }));
    const rows = set.rows("a.weight", 1, 2);
    assert.deepEqual([...(await rows.read())], [3, 4, 5, 6, 7, 8]);

    const x = tensor([1, 1, 1, 1, 1, 1], [2, 3], { device });
    backward(add(rows, x), tensor([1, 2, 3, 4, 5, 6], [2, 3], { device }));
    const gradient = await set.gradients!.read();
    assert.deepEqual(Array.from(gradient).slice(0, 12), [0, 0, 0, 1, 2, 3, 4, 5, 6, 0, 0, 0]);
    assert.deepEqual(
      [...(await set.get("a.weight").grad!.read())],
      Array.from(gradient).slice(0, 15),
    );
    set.zeroGradients();
    assert.ok((await set.gradients!.read()).every((v) => v === 0));
    set.dispose();
  });

  test("they outlive the scopes that they were made and looked up in", async () => {
    let set: ParameterSet;
    {
      using scope = tensorScope();
      void scope;
      set = ParameterSet.create(declared, { device, trainable: true });
      set.get("b.bias");
      set.rows("a.bias", 0, 2);
    }
    assert.equal(set.get("b.bias").disposed, false);
    assert.equal((await set.rows("a.bias", 0, 2).read()).length, 2);
    const leaf = set.get("b.bias");
    set.dispose();
    assert.ok(leaf.disposed && leaf.grad!.disposed && set.weights.disposed);
  });

  test("a frozen set has no gradients", () => {
    const set = ParameterSet.create(declared, { device });
    assert.equal(set.gradients, undefined);
    assert.equal(set.get("a.weight").requiresGrad, false);
    assert.equal(set.get("a.weight").grad, undefined);
    set.dispose();
  });

  test("unknown names, rows outside and names declared twice are refused", () => {
    const set = ParameterSet.create(declared, { device });
    assert.throws(() => set.get("c"), { code: "ERR_CONFIG", message: /c: not declared/ });
    assert.throws(() => set.rows("a.weight", 4, 2), {
      code: "ERR_SHAPE",
      message: "parameters: a.weight: expected rows within 5, got 2 from 4",
    });
    assert.throws(() => ParameterSet.create([...declared, ...declared], { device }), {
      code: "ERR_CONFIG",
      message: "parameters: a.weight: declared twice",
    });
    set.dispose();
  });
});
