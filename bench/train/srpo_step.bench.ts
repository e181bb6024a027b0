import { mkdtempSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { initMicro } from "../../ts/micro/init.js";
import { backward } from "../../ts/autograd/backward.js";
import { draws } from "../../ts/methods/draws.js";
import { AutoencoderDecoder, FluxPolicy } from "../../ts/methods/flux_policy.js";
import type { Batch, RelativeReward } from "../../ts/methods/method.js";
import { srpoHps } from "../../ts/methods/presets.js";
import { Srpo } from "../../ts/methods/srpo.js";
import { Autoencoder } from "../../ts/models/autoencoder/model.js";
import { TwoTower } from "../../ts/models/clip/two_tower.js";
import { Flux } from "../../ts/models/flux/model.js";
import { initializeParameters } from "../../ts/nn/init.js";
import { relativeReward } from "../../ts/ops/index.js";
import { AdamW } from "../../ts/optim/adamw.js";
import { gradNorm } from "../../ts/optim/clip.js";
import { planOf } from "../../ts/plan/plan.js";
import { modelsOf } from "../../ts/plan/models.js";
import { synchronize } from "../../ts/tensor/device.js";
import { tensorScope } from "../../ts/tensor/scope.js";
import { trainConfig, type TrainConfig } from "../../ts/train/config.js";
import { gradientOptions } from "../../ts/train/layout.js";
import { Trainer } from "../../ts/train/trainer.js";
import type { BenchCase } from "../support/case.js";
import { benchDevice, fillRandomly, input } from "../support/inputs.js";
import { fullOf, imageLength, type PictureSize, type Sizes } from "../support/sizes.js";

/** One whole update of the micro model: rollout, both branches, clip and AdamW. */
function stepCase(precision: "f32" | "bf16"): BenchCase {
  return {
    name: `SRPO update, micro  ${precision}  batch 8, 8 rollout steps`,
    why: "what a user of the micro preset waits for",
    setUp: () => {
      let trainer: Promise<Trainer> | undefined;
      let step = 0;
      return async () => {
        trainer ??= makeTrainer(precision);
        await (await trainer).update(++step);
      };
    },
  };
}

async function makeTrainer(precision: "f32" | "bf16"): Promise<Trainer> {
  const folder = path.join(mkdtempSync(path.join(os.tmpdir(), "srpo-bench-")), "micro");
  await initMicro(folder, { seed: 0n, dtype: "float32", texts: ["a red fox in the snow"] });
  return Trainer.create(
    trainConfig([{ name: "bench", values: { preset: "micro", model: folder, precision } }]),
  );
}

export const cases: readonly BenchCase[] = [stepCase("f32"), stepCase("bf16")];

/** Two-tower reward with random weights and text features: what a step computes of it. */
function randomReward({ reward: config }: Sizes, dtype: "bfloat16"): RelativeReward & Disposable {
  const tower = new TwoTower(config, { dtype, device: benchDevice() });
  initializeParameters(tower.parameters, 3n);
  const features = input([1, config.embedding], dtype);
  return {
    textFeatures: () => features,
    score: (image, positive, negative, k) =>
      relativeReward(tower.encodeImage(tower.preprocess(image)), tower.imageProjection, {
        positive,
        negative,
        k,
      }).reward,
    [Symbol.dispose]: () => tower.dispose(),
  };
}

/** How the weights' state is kept: `plan`'s smallest layout, and the one that is exact but for 8-bit moments. */
const layouts = [
  {
    name: "8-bit m v, rounded, bf16 gradients, factors",
    values: {
      moments: "8bit",
      rounding: "stochastic",
      gradDtype: "bfloat16",
      modulationGradients: "factors",
    },
  },
  {
    name: "8-bit m v, remainder, bf16 gradients, factors",
    values: { moments: "8bit", gradDtype: "bfloat16", modulationGradients: "factors" },
  },
] as const;

/** The run's options, with FLUX.1-dev's sizes from what is built in. */
function configOf({ values }: (typeof layouts)[number], side: number): TrainConfig {
  const models = { preset: "hps", model: "flux.1-dev", reward: "hpsv2.1", embeddings: "embedded" };
  const run = { ...models, ...values, batch: 1, microBatch: 1, height: side, width: side };
  return trainConfig([{ name: "bench", values: run }]);
}

/** Bytes that a step of these sizes needs, as `srpo-native plan` counts them. */
function stepBytes(config: TrainConfig): number {
  const machine = { card: "h200", gpus: 1, nodes: 1 } as const;
  const { parts } = planOf({ config, models: modelsOf(config), machine });
  return parts.reduce((sum, { bytes }) => sum + bytes, 0);
}

/** One update of SRPO for one prompt at a real size, with random weights: rollout, branches, clip, AdamW. */
function wholeStep(
  sizes: Sizes,
  picture: PictureSize,
  layout: (typeof layouts)[number],
): BenchCase {
  const dtype = "bfloat16";
  const { transformer, vae, rolloutSteps } = sizes;
  const { latentHeight, latentWidth } = picture;
  const config = configOf(layout, latentHeight * 8);
  return {
    name: `SRPO step  bf16  ${picture.name}, ${rolloutSteps} rollout steps, ${layout.name}`,
    why: "one prompt: rollout, both branches with their gradients, clip and optimizer",
    stretch: true,
    ...(sizes.name === "flux" ? { memory: stepBytes(config) } : {}),
    ...fullOf(picture),
    setUp: () => {
      const device = benchDevice();
      const gradients = gradientOptions(config);
      const model = new Flux(transformer, {
        dtype,
        device,
        trainable: true,
        squares: true,
        ...gradients,
      });
      fillRandomly(model.parameters.weights, 0.02);
      const frozen = { dtype, device, parts: ["decoder"] } as const;
      const autoencoder = new Autoencoder(vae, frozen);
      initializeParameters(autoencoder.parameters, 2n);
      const reward = randomReward(sizes, dtype);
      const grid = { height: latentHeight / 2, width: latentWidth / 2 };
      const timesteps = "integer";
      const policy = new FluxPolicy(model, grid, { timesteps, recompute: true });
      const recompute = true;
      const decoder = new AutoencoderDecoder(autoencoder, latentHeight, latentWidth, { recompute });
      const drawn = { seed: 1n, tokens: imageLength(picture), channels: transformer.inChannels };
      const parts = { policy, decoder, reward, ...draws({ ...drawn, noise: "shared", device }) };
      const method = new Srpo({ ...srpoHps, rolloutSteps }, parts);
      const { moments, rounding } = config;
      const optimizer = new AdamW(model.parameters, { moments, rounding });
      const features = {
        txt: input([1, sizes.textLength, transformer.contextSize], dtype),
        pooled: input([1, transformer.vectorSize], dtype),
      };
      let step = 0;
      const call = async () => {
        using scope = tensorScope();
        void scope;
        step += 1;
        const batch: Batch = { step, pass: 0, captions: ["-"], features, samples: [0], share: 1 };
        model.parameters.zeroGradients();
        for await (const term of method.terms(batch)) {
          backward(term.loss);
          await synchronize(device);
        }
        optimizer.step({ lr: 1e-6, gradNorm: gradNorm(model.parameters), maxGradNorm: 0.1 });
        await synchronize(device);
      };
      const dispose = () => {
        optimizer.dispose();
        policy.dispose();
        autoencoder.dispose();
        reward[Symbol.dispose]();
      };
      return Object.assign(call, { dispose });
    },
  };
}

export const fluxCases = (sizes: Sizes): readonly BenchCase[] =>
  sizes.pictures.flatMap((picture) => layouts.map((layout) => wholeStep(sizes, picture, layout)));
