// Modulation gradients as factors: the same norm and the same update as with the matrices, in less memory.
import assert from "node:assert/strict";
import { backward } from "../../ts/autograd/backward.js";
import { fluxConfig } from "../../ts/models/flux/config.js";
import { Flux } from "../../ts/models/flux/model.js";
import { isModulation } from "../../ts/models/flux/parameters.js";
import { fluxIds, fluxRope } from "../../ts/models/flux/positions.js";
import { cast, linear, mse } from "../../ts/ops/index.js";
import { AdamW, type AdamWOptions } from "../../ts/optim/adamw.js";
import { clipGradNorm, gradNorm } from "../../ts/optim/clip.js";
import { tensorScope } from "../../ts/tensor/scope.js";
import { tensor, type Tensor } from "../../ts/tensor/tensor.js";
import { parametersNotFinite } from "../../ts/train/not_finite.js";
import { initializeParameters } from "../../ts/nn/init.js";
import { forEachDevice, memoryInUse, randn, refuses } from "../support/index.js";
import { tinyFlux } from "../support/tiny_flux.js";

const config = fluxConfig(tinyFlux);

forEachDevice("factored modulation gradients", (test, device) => {
  const make = (dtype: "float32" | "bfloat16", factored: boolean) => {
    const model = new Flux(config, {
      device,
      dtype,
      trainable: true,
      factored: factored ? isModulation : undefined,
    });
    initializeParameters(model.parameters, 4n);
    return model;
  };
  /** Both branches of an update, with blocks run again in backward. */
  const accumulate = (model: Flux) => {
    const { parameters } = model;
    const draw = (shape: number[], seed: number) =>
      cast(randn(shape, { device, seed }), parameters.dtype);
    parameters.zeroGradients();
    for (const branch of [0, 1]) {
      const pe = fluxRope(config, fluxIds({ textLength: 3, height: 2, width: 2 }), { device });
      const y = model.forward(
        {
          img: draw([2, 4, 12], 10 + branch),
          txt: draw([2, 3, 10], 20),
          pooled: draw([2, 7], 30),
          sigma: [0.9 - branch / 4, 0.5],
          guidance: [3.5, 1],
          pe,
        },
        { recompute: branch === 1 },
      );
      backward(mse(cast(y, "float32"), randn([2, 4, 12], { device, seed: 40 + branch })));
    }
  };
  const update = (model: Flux, adamw: AdamW): Tensor => {
    accumulate(model);
    const norm = gradNorm(model.parameters);
    adamw.step({ gradNorm: norm, maxGradNorm: 0.01 });
    return norm;
  };
  const weightsOf = async ({ parameters }: Flux, name: string) =>
    cast(parameters.get(name).detach(), "float32").read();

  test("the buffer lacks the modulations' matrices alone", () => {
    const [full, factored] = [make("float32", false).parameters, make("float32", true).parameters];
    const modulations = full.ranges.filter(({ parameter }) => isModulation(parameter));
    assert.equal(modulations.length, 2 * config.depth + config.depthSingleBlocks + 1);
    const left = modulations.reduce((sum, { size }) => sum + size, 0);
    const less = full.gradients!.size - factored.gradients!.size;
    assert.ok(Math.abs(less - left) < 256, `${less} of ${left}`);
    assert.equal(factored.count, full.count);
    assert.deepEqual(
      factored.ranges.map(({ parameter }) => parameter.name),
      full.ranges.map(({ parameter }) => parameter.name),
    );
  });

  test("float32: norm within 1e-6, three updates within float32's rounding", async () => {
    const [full, factored] = [make("float32", false), make("float32", true)];
    const options = { lr: 1e-3, eps: 1e-6, weightDecay: 0.01 };
    const [a, b] = [new AdamW(full.parameters, options), new AdamW(factored.parameters, options)];
    for (let step = 0; step < 3; ++step) {
      using scope = tensorScope();
      void scope;
      const [exact, norm] = [await update(full, a).item(), await update(factored, b).item()];
      assert.ok(Math.abs(norm / exact - 1) < 1e-6, `${norm}, with matrices ${exact}`);
      assert.ok(exact > 0.02, "it clips");
    }
    for (const { parameter } of full.parameters.ranges) {
      const { name } = parameter;
      const [one, other] = [await weightsOf(full, name), await weightsOf(factored, name)];
      const most = one.reduce((max, w, i) => Math.max(max, Math.abs(w - other[i]!)), 0);
      // An update is 1e-3 a weight.
      assert.ok(most < 2e-6, `${name}: ${most}`);
    }
  });

  test("bfloat16: norm within 1e-6 of the float32 matrices of the same rows", async () => {
    const [full, factored] = [make("bfloat16", false), make("bfloat16", true)];
    accumulate(full);
    accumulate(factored);
    const [exact, norm] = [
      await gradNorm(full.parameters).item(),
      await gradNorm(factored.parameters).item(),
    ];
    assert.ok(Math.abs(norm / exact - 1) < 1e-6, `${norm}, with matrices ${exact}`);
  });

  for (const options of [
    { rounding: "remainder", moments: "float32" },
    { rounding: "stochastic", moments: "8bit" },
  ] satisfies Partial<AdamWOptions>[])
    test(`${options.rounding}, ${options.moments} moments: resumed training goes on to the bit`, async () => {
      const settings = { ...options, lr: 1e-3, seed: 3n };
      const run = async (resumed: boolean) => {
        let model = make("bfloat16", true);
        let adamw = new AdamW(model.parameters, settings);
        for (let step = 0; step < 3; ++step) {
          using scope = tensorScope();
          void scope;
          update(model, adamw);
          if (!resumed || step !== 0) continue;
          const next = make("bfloat16", true);
          next.parameters.weights.copyFrom(model.parameters.weights);
          const after = new AdamW(next.parameters, settings);
          await after.loadState(adamw.state());
          [model, adamw] = [next, after];
        }
        const state = { ...adamw.state(), weights: model.parameters.weights };
        return Promise.all(
          Object.values(state).map(async (t) => Buffer.from(await t.readBytes()).toString("hex")),
        );
      };
      assert.deepEqual(await run(true), await run(false));
    });

  test("more samples than any kernel takes at once; an update without any still decays", async () => {
    const model = make("float32", true);
    const [{ parameter, factors }] = model.parameters.factored as [
      (typeof model.parameters.factored)[number],
    ];
    const w = model.parameters.get(parameter.name);
    for (let i = 0; i < 70; ++i) {
      const x = randn([1, w.dim(1)], { device, seed: i });
      backward(linear(x, w), randn([1, w.dim(0)], { device, seed: 100 + i }));
    }
    assert.ok(factors.parts.every(({ dy }) => dy.dim(0) === 1));
    const norm = await gradNorm(model.parameters).item();
    assert.ok(norm > 0);
    assert.deepEqual(
      factors.parts.map(({ dy }) => dy.dim(0)),
      [70],
    );
    model.parameters.zeroGradients();
    assert.equal(factors.parts.length, 0);
    const before = await w.read();
    new AdamW(model.parameters, { lr: 0.1, weightDecay: 0.5 }).step();
    const after = await w.read();
    assert.ok(after.every((v, i) => Math.abs(v - 0.95 * before[i]!) < 1e-6));
  });

  test("a gradient that is not finite is found by its weight's name", async () => {
    const { parameters } = make("float32", true);
    const [{ parameter }] = parameters.factored as [(typeof parameters.factored)[number]];
    const w = parameters.get(parameter.name);
    const dy = randn([1, w.dim(0)], { device });
    dy.viewOf(3, [1]).copyFrom(tensor([Infinity], [1], { device }));
    backward(linear(randn([1, w.dim(1)], { device }), w), dy);
    assert.deepEqual(await parametersNotFinite(parameters), [parameter.name]);
    assert.ok(!Number.isFinite(await gradNorm(parameters).item()));
    const [before, adamw] = [await w.read(), new AdamW(parameters)];
    adamw.step({ gradNorm: gradNorm(parameters) });
    assert.deepEqual(await w.read(), before);
    assert.equal(await adamw.skipped.item(), 1);
  });

  test("updates keep no memory", async () => {
    const model = make("bfloat16", true);
    const adamw = new AdamW(model.parameters, { moments: "8bit", rounding: "stochastic" });
    const once = async () => {
      using scope = tensorScope();
      void scope;
      update(model, adamw);
      model.parameters.zeroGradients();
      await adamw.skipped.item();
    };
    await once();
    await once();
    const before = await memoryInUse(device);
    for (let i = 0; i < 5; ++i) await once();
    // What other tests left may be collected meanwhile.
    assert.ok((await memoryInUse(device)) <= before);
  });

  test("what cannot be kept as factors is refused", async () => {
    const { parameters } = make("float32", true);
    const [{ parameter }] = parameters.factored as [(typeof parameters.factored)[number]];
    const { name, shape } = parameter;
    const x = randn([2, shape[1]!], { device });
    const message = `backward: expected only linear, without activation and gate, on a weight whose gradient is kept as factors, got another op on [${shape.join(", ")}]`;
    const y = linear(x, parameters.get(name), null, { act: "silu" });
    const seed = randn([2, shape[0]!], { device });
    refuses(() => backward(y, seed), "ERR_GRADIENT", message);
    refuses(
      () => parameters.rows(name, 0, 2),
      "ERR_GRADIENT",
      `parameters: ${name}: expected to be used whole, its gradient is kept as factors`,
    );
    refuses(
      () => clipGradNorm(parameters, 1),
      "ERR_CONFIG",
      "clipGradNorm: expected gradients in a buffer, got factored ones: AdamW.step clips them",
    );
    await Promise.resolve();
  });
});
