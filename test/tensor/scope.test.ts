import assert from "node:assert/strict";
import { add } from "../../ts/ops/index.js";
import { memoryOf, synchronize } from "../../ts/tensor/device.js";
import { release, tensorScope, tidy } from "../../ts/tensor/scope.js";
import { tensor, zeros } from "../../ts/tensor/tensor.js";
import { forEachDevice, memoryInUse, randn } from "../support/index.js";

forEachDevice("tensors and scopes", (test, device) => {
  test("values come back as they went, in every dtype", async () => {
    for (const dtype of ["float32", "bfloat16", "int32", "uint8"] as const) {
      const t = tensor([1, 2, 250], [3], { dtype, device });
      assert.deepEqual([...(await t.read())], [1, 2, 250]);
    }
  });

  test("a scope frees what it made but for what is kept", () => {
    const outer = tensorScope();
    let kept, freed;
    {
      using scope = tensorScope();
      freed = zeros([4], { device });
      kept = scope.keep(zeros([4], { device }));
    }
    assert.equal(freed.disposed, true);
    assert.equal(kept.disposed, false);
    outer[Symbol.dispose]();
    assert.equal(kept.disposed, true);
  });

  test("a released tensor outlives its scope", () => {
    const t = tidy(() => release(zeros([4], { device })));
    assert.equal(t.disposed, false);
    t.dispose();
    assert.equal(t.disposed, true);
  });

  test("scopes end in the reverse of their order", () => {
    const outer = tensorScope();
    const inner = tensorScope();
    assert.throws(() => outer[Symbol.dispose](), { code: "ERR_SCOPE" });
    inner[Symbol.dispose]();
    outer[Symbol.dispose]();
  });

  test("memory freed while work is queued is not overwritten by that work", async () => {
    for (let i = 0; i < 50; ++i) {
      const sum = tidy(() => {
        const a = randn([1000], { device, seed: i });
        return add(a, a);
      });
      const ones = tensor(new Float32Array(1000).fill(1), [1000], { device });
      const [x] = await ones.read();
      assert.equal(x, 1);
      sum.dispose();
      ones.dispose();
    }
  });

  test("a thousand rounds do not grow memory", async () => {
    const round = () => {
      using scope = tensorScope();
      void scope;
      let t = zeros([512], { device });
      for (let i = 0; i < 10; ++i) t = add(t, t);
    };
    round();
    await memoryInUse(device);
    const before = memoryOf(device);
    for (let i = 0; i < 1000; ++i) {
      round();
      if (i % 50 === 0) await synchronize(device);
    }
    await synchronize(device);
    const after = memoryOf(device);
    assert.equal(after.inUse, before.inUse);
    assert.equal(after.cached, before.cached);
  });

  test("too large a tensor is refused by name, and the process lives", () => {
    assert.throws(() => zeros([2 ** 50], { device }), { code: "ERR_OUT_OF_MEMORY" });
    assert.throws(() => zeros([-1], { device }), { code: "ERR_SHAPE" });
    assert.throws(() => zeros([1, 1, 1, 1, 1, 1, 1], { device }), { code: "ERR_SHAPE" });
    assert.throws(() => tensor([1, 2, 3], [2], { device }), { code: "ERR_SHAPE" });
  });
});
