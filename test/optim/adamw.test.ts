import assert from "node:assert/strict";
import { cast } from "../../ts/ops/index.js";
import { ParameterSet } from "../../ts/nn/parameter_set.js";
import { AdamW, momentForms } from "../../ts/optim/adamw.js";
import { clipGradNorm, gradNorm } from "../../ts/optim/clip.js";
import { tensorScope } from "../../ts/tensor/scope.js";
import { tensor, zeros, type Tensor } from "../../ts/tensor/tensor.js";
import { forEachDevice, memoryInUse, randn, refuses } from "../support/index.js";

const n = 1003;
const layouts = (["remainder", "stochastic"] as const).flatMap((rounding) =>
  momentForms.map((moments) => [rounding, moments] as const),
);

async function bytes(state: Record<string, Tensor>): Promise<string> {
  const all = [];
  for (const name of Object.keys(state).sort())
    all.push(name, Buffer.from(await state[name]!.readBytes()).toString("hex"));
  return all.join(" ");
}

forEachDevice("AdamW", (test, device) => {
  const model = (dtype: "float32" | "bfloat16" = "float32") => ({
    weights: cast(cast(randn([n], { device, scale: 0.02 }), "bfloat16"), dtype),
    gradients: zeros([n], { device }),
  });
  const draw = (parameters: { gradients: Tensor }, step: number) =>
    parameters.gradients.copyFrom(randn([n], { device, scale: 0.01, seed: step }));
  const run = (
    parameters: { weights: Tensor; gradients: Tensor },
    adamw: AdamW,
    steps: number[],
  ) => {
    for (const step of steps) {
      draw(parameters, step);
      adamw.step({ gradNorm: gradNorm(parameters), maxGradNorm: 0.1 });
    }
  };
  const everything = (parameters: { weights: Tensor }, adamw: AdamW) =>
    bytes({ ...adamw.state(), weights: parameters.weights });

  test("bfloat16 and float32 parameters train alike", async () => {
    const [half, full] = [model("bfloat16"), model("float32")];
    const [a, b] = [new AdamW(half, { lr: 1e-3 }), new AdamW(full, { lr: 1e-3 })];
    run(half, a, [1, 2, 3, 4]);
    run(full, b, [1, 2, 3, 4]);
    assert.deepEqual(await a.master().read(), await full.weights.read());
    assert.deepEqual(await b.master().read(), await full.weights.read());
    assert.equal(a.steps, 4);
  });

  for (const [rounding, moments] of layouts)
    test(`two shards are updated as the whole, ${rounding}, ${moments} moments`, async () => {
      const options = { lr: 1e-3, rounding, moments, seed: 7n };
      const [whole, cut] = [model("bfloat16"), model("bfloat16")];
      const through = new AdamW(whole, options);
      const shards = [0, 512].map((first) => {
        const count = first === 0 ? 512 : n - 512;
        const weights = cut.weights.viewOf(first, [count]);
        const gradients = cut.gradients.viewOf(first, [count]);
        return new AdamW({ weights, gradients, first }, options);
      });
      for (const step of [1, 2, 3]) {
        draw(whole, step);
        draw(cut, step);
        const norm = { gradNorm: gradNorm(whole), maxGradNorm: 0.1 };
        for (const adamw of [through, ...shards]) adamw.step(norm);
      }
      assert.deepEqual(await cut.weights.read(), await whole.weights.read());
      const parts = await Promise.all(shards.map((shard) => shard.m.read()));
      assert.deepEqual(parts.map((part) => [...part]).flat(), [...(await through.m.read())]);
    });

  for (const [dtype, rounding, moments] of [
    ["float32", "remainder", "float32"] as const,
    ["float32", "remainder", "8bit"] as const,
    ...layouts.map((layout) => ["bfloat16", ...layout] as const),
  ])
    test(`${dtype}, ${rounding}, ${moments} moments: resumed training goes on to the bit`, async () => {
      const options = { rounding, moments, seed: 9n };
      const whole = model(dtype);
      const through = new AdamW(whole, options);
      run(whole, through, [1, 2, 3, 4, 5]);

      const first = model(dtype);
      const before = new AdamW(first, options);
      run(first, before, [1, 2]);
      const second = model(dtype);
      const after = new AdamW(second, options);
      second.weights.copyFrom(first.weights);
      await after.loadState(before.state());
      run(second, after, [3, 4, 5]);
      assert.equal(await everything(second, after), await everything(whole, through));
    });

  test("clipping as it updates is clipping before", async () => {
    const [a, b] = [model(), model()];
    const [fused, apart] = [new AdamW(a), new AdamW(b)];
    for (const step of [1, 2, 3]) {
      draw(a, step);
      draw(b, step);
      fused.step({ gradNorm: gradNorm(a), maxGradNorm: 0.1 });
      const norm = clipGradNorm(b, 0.1);
      assert.ok((await norm.item()) > 0.1);
      apart.step();
    }
    assert.deepEqual(await a.weights.read(), await b.weights.read());
  });

  test("an update with a norm that is not finite is left out and counted", async () => {
    const [a, b] = [model("bfloat16"), model("bfloat16")];
    const [disturbed, calm] = [new AdamW(a), new AdamW(b)];
    run(a, disturbed, [1]);
    a.gradients.copyFrom(tensor(new Float32Array(n).fill(NaN), [n], { device }));
    disturbed.step({ gradNorm: gradNorm(a) });
    run(a, disturbed, [2]);
    run(b, calm, [1, 2]);
    assert.equal(await disturbed.skipped.item(), 1);
    assert.equal(disturbed.steps, 3);
    assert.deepEqual(await disturbed.master().read(), await calm.master().read());
  });

  test("a schedule's rate is the update's", async () => {
    const [a, b] = [model(), model()];
    const [given, own] = [new AdamW(a, { lr: 1 }), new AdamW(b, { lr: 1e-3 })];
    draw(a, 1);
    draw(b, 1);
    given.step({ lr: 1e-3 });
    own.step();
    assert.deepEqual(await a.weights.read(), await b.weights.read());
  });

  test("a model's ParameterSet is what it works on; padding stays zero", async () => {
    const set = ParameterSet.create(
      [
        { name: "a", shape: [3], init: { kind: "ones" } },
        { name: "b", shape: [2, 5], init: { kind: "ones" } },
      ],
      { dtype: "bfloat16", device, trainable: true },
    );
    set.get("b").grad!.copyFrom(randn([2, 5], { device }));
    const adamw = new AdamW(set, { lr: 0.5 });
    adamw.step({ gradNorm: gradNorm(set), maxGradNorm: 1 });
    assert.ok((await set.get("b").read()).every((w) => Math.abs(Math.abs(w) - 0.5) < 1e-2));
    const moved = (await set.weights.read()).filter((w) => w !== 0);
    assert.equal(moved.length, 10);
    set.dispose();
  });

  test("a float32 master survives in bfloat16 parameters", async () => {
    const parameters = model("bfloat16");
    const master = randn([n], { device, seed: 4 });
    const adamw = new AdamW(parameters);
    adamw.setMaster(master);
    assert.deepEqual(await adamw.master().read(), await master.read());
  });

  test("steps keep no memory, and the state outlives the scope it was made in", async () => {
    const parameters = model("bfloat16");
    const inner = tensorScope();
    const adamw = new AdamW(parameters);
    inner[Symbol.dispose]();
    const step = async () => {
      using scope = tensorScope();
      void scope;
      run(parameters, adamw, [1]);
      await adamw.skipped.item();
    };
    await step();
    const before = await memoryInUse(device);
    for (let i = 0; i < 20; ++i) await step();
    assert.equal(await memoryInUse(device), before);
    adamw.dispose();
  });

  test("a state of other moments is refused", async () => {
    const other = new AdamW(model("bfloat16"), { moments: "8bit" });
    const mine = new AdamW(model("bfloat16"), { moments: "bfloat16" });
    await assert.rejects(mine.loadState(other.state()), {
      code: "ERR_DTYPE",
      message: "AdamW: m: expected bfloat16 [1003], got uint8 [1003]",
    });
  });

  test("a frozen model, and a state that is not its own, are refused", async () => {
    const frozen = { weights: zeros([4], { device }), gradients: undefined };
    refuses(
      () => new AdamW(frozen),
      "ERR_CONFIG",
      "AdamW: parameters: expected trainable ones, got a frozen model",
    );
    const adamw = new AdamW(model("bfloat16"));
    const { m, ...incomplete } = adamw.state();
    await assert.rejects(adamw.loadState(incomplete), {
      code: "ERR_CHECKPOINT",
      message: "AdamW: m: expected a tensor, got none",
    });
    await assert.rejects(adamw.loadState({ ...incomplete, m: zeros([3], { device }) }), {
      code: "ERR_SHAPE",
      message: "AdamW: m: expected float32 [1003], got float32 [3]",
    });
    assert.equal(m!.size, n);
  });
});
