// One rank of sharding.test.ts: updates of a small transformer, by ZeRO-1, by ZeRO-2 and by one rank alone.
import assert from "node:assert/strict";
import { backward } from "../../ts/autograd/backward.js";
import { fluxConfig } from "../../ts/models/flux/config.js";
import { Flux } from "../../ts/models/flux/model.js";
import { isModulation } from "../../ts/models/flux/parameters.js";
import { fluxIds, fluxRope } from "../../ts/models/flux/positions.js";
import { initializeParameters } from "../../ts/nn/init.js";
import { cast, mse } from "../../ts/ops/index.js";
import { AdamW } from "../../ts/optim/adamw.js";
import { bucketsOf } from "../../ts/optim/buckets.js";
import { Ema } from "../../ts/optim/ema.js";
import { Sharding, shardMultiple } from "../../ts/optim/sharding.js";
import type { Communicator } from "../../ts/ranks/communicator.js";
import { openCommunicator } from "../../ts/ranks/open.js";
import { readPlace } from "../../ts/ranks/place.js";
import { soloCommunicator } from "../../ts/ranks/solo.js";
import { hasDevice, memoryOf, synchronize, type Device } from "../../ts/tensor/device.js";
import { bytesOf } from "../../ts/tensor/dtype.js";
import { tensorScope } from "../../ts/tensor/scope.js";
import { randn } from "../support/index.js";
import { lateCommunicator } from "../support/late_communicator.js";
import { tinyFlux } from "../support/tiny_flux.js";

const config = fluxConfig(tinyFlux);
const device = process.argv[2] as Device;
assert.ok(hasDevice(device));
const updates = 3;

interface Way {
  dtype: "float32" | "bfloat16";
  gradDtype: "float32" | "bfloat16";
  factored: boolean;
  /** Of each rank, an update. */
  backwards: number;
  recompute: boolean;
}

const communicator = await openCommunicator(readPlace(), device);
const { rank, size } = communicator;

/** What three updates come to: the whole of weights and averages as bytes, norms, and what went between ranks. */
async function train(
  { dtype, gradDtype, factored, backwards, recompute }: Way,
  zero: 1 | 2,
  ranks: Communicator,
) {
  const alone = ranks.size === 1;
  const before = memoryOf(device).inUse;
  const model = new Flux(config, {
    device,
    dtype,
    gradDtype,
    trainable: true,
    multiple: shardMultiple(ranks.size),
    passingGradients: zero === 2,
    factored: factored ? isModulation : undefined,
  });
  const { parameters } = model;
  initializeParameters(parameters, 4n);
  const sharding = new Sharding(parameters, ranks);
  const { pieces } = sharding.shard;
  const adamw = new AdamW(pieces, { lr: 1e-3, eps: 1e-6 });
  const ema = new Ema(pieces, { decay: 0.5, remainder: adamw.remainder });
  const held = memoryOf(device).inUse - before;
  const draw = (shape: number[], seed: number) => cast(randn(shape, { device, seed }), dtype);
  const { bytes: sentBefore } = ranks.stats();
  const norms: number[] = [];
  for (let update = 0; update < updates; ++update) {
    using scope = tensorScope();
    void scope;
    sharding.zeroGradients();
    const samples = alone
      ? Array.from({ length: size * backwards }, (_, i) => i)
      : Array.from({ length: backwards }, (_, i) => rank * backwards + i);
    for (const sample of samples) {
      using inner = tensorScope();
      void inner;
      const seed = 100 * update + sample;
      const pe = fluxRope(config, fluxIds({ textLength: 3, height: 2, width: 2 }), { device });
      const y = model.forward(
        {
          img: draw([1, 4, 12], seed + 10),
          txt: draw([1, 3, 10], seed + 20),
          pooled: draw([1, 7], seed + 30),
          sigma: [0.9 - sample / 16],
          guidance: [3.5],
          pe,
        },
        { recompute },
      );
      const loss = mse(cast(y, "float32"), randn([1, 4, 12], { device, seed: seed + 40 }));
      backward(loss, undefined, sharding.watch);
    }
    await sharding.reduceGradients();
    const norm = sharding.gradNorm();
    norms.push(await norm.item());
    adamw.step({ gradNorm: norm, maxGradNorm: 0.01 });
    ema.update();
    sharding.weightsMoved();
    if (!alone) assert.throws(() => parameters.get("txt_in.weight"), /expected to be gathered/);
    sharding.gatherWeights();
  }
  // What goes aside counts once it has gone.
  parameters.arrivals.waitForAll();
  await synchronize(device);
  const sent = ranks.stats().bytes - sentBefore;
  const names = parameters.ranges.map(({ parameter }) => parameter.name);
  const weights = await Promise.all(names.map((name) => cast(parameters.get(name).detach(), "float32").read())); // prettier-ignore
  const average = await sharding.gathered(ema.weights).read();
  const bits = [...weights, average].map((values) => Buffer.from(values.buffer).toString("base64"));
  await synchronize(device);
  for (const one of [ema, adamw, sharding, model]) one.dispose();
  return { bits: bits.join(), norms, held, weights, sent, parameters };
}

const distance = (a: readonly Float32Array[], b: readonly Float32Array[]) =>
  Math.max(...a.map((one, i) => Math.max(...one.map((w, j) => Math.abs(w - b[i]![j]!)))));

const plain = { dtype: "float32", gradDtype: "float32", factored: false } as const;
const ways: [string, Way][] = [
  ["float32", { ...plain, backwards: 1, recompute: false }],
  ["float32, blocks run again", { ...plain, backwards: 1, recompute: true }],
  ["two backwards", { ...plain, backwards: 2, recompute: false }],
  ["factors", { ...plain, factored: true, backwards: 1, recompute: false }],
  [
    "bfloat16",
    { dtype: "bfloat16", gradDtype: "bfloat16", factored: false, backwards: 1, recompute: false },
  ],
  [
    "bfloat16, factors, two backwards",
    { dtype: "bfloat16", gradDtype: "bfloat16", factored: true, backwards: 2, recompute: true },
  ],
];

// Emulated kernels take their time.
for (const [name, way] of device === "cpu" ? ways : [ways[0]!, ways.at(-1)!]) {
  // prettier-ignore
  const [one, two] = [await train(way, 1, communicator), await train(way, 2, communicator)];
  // The sums of one backward are added to zeros: the same numbers in the same order.
  if (way.backwards === 1) assert.equal(two.bits, one.bits, `${name}: ZeRO-1 and ZeRO-2`);

  // Until it is waited for nothing has arrived, and what stands there is no number.
  for (const zero of [1, 2] as const) {
    const late = await train(way, zero, lateCommunicator(communicator));
    assert.equal(late.bits, (zero === 1 ? one : two).bits, `${name}: ZeRO-${zero}, late`);
  }

  const alone = await train(way, 1, soloCommunicator());
  const exact = way.dtype === "float32";
  for (const { norms, weights } of [one, two]) {
    for (const [i, norm] of norms.entries())
      assert.ok(Math.abs(norm / alone.norms[i]! - 1) < (exact ? 2e-6 : 2e-2), `${name}: norm ${norm}, alone ${alone.norms[i]}`); // prettier-ignore
    // An update is 1e-3 a weight, or a bit of a bfloat16 one.
    const most = distance(weights, alone.weights);
    assert.ok(most < (exact ? 1e-5 : 1.6e-2), `${name}: weights differ by ${most}`);
  }

  // Bytes: a reduce-scatter of the gradients that have a buffer, a gather of the weights, the ranks' norms.
  const { factored, length } = two.parameters;
  const all = bucketsOf(two.parameters, size);
  const dense = factored[0]?.offset ?? length;
  const summed = all
    .filter(({ first }) => first < dense)
    .reduce((sum, { count }) => sum + count, 0);
  const whole = all.reduce((sum, { count }) => sum + count, 0);
  assert.ok(all.length >= 6, `${all.length} buckets`);
  const each = bytesOf[way.gradDtype] * summed;
  const rest = whole * bytesOf[way.dtype] + 4 * size;
  // Rows of dy and x of each matrix and rank, and how many they are.
  const rows = factored.reduce((sum, { parameter: { shape } }) => sum + shape[0]! + shape[1]!, 0);
  const counts = factored.length > 0 ? 4096 * size : 0;
  const factors = rows * size * way.backwards * bytesOf[way.dtype] + counts;
  for (const [run, reduced] of [
    [one, each],
    [two, each * way.backwards],
  ] as const)
    assert.equal(run.sent, updates * (reduced + rest + factors), name);

  // Between updates ZeRO-2 holds a rank's part of the gradients, ZeRO-1 all.
  const less = bytesOf[way.gradDtype] * (summed - summed / size);
  const blocks = 16384; // of the pool, by which it hands out
  assert.ok(
    Math.abs(one.held - two.held - less) <= blocks,
    `${name}: ${one.held} and ${two.held}, of ${less}`,
  );
}

await communicator.dispose();
process.stdout.write(`rank ${rank} is right\n`);
