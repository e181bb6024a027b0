import { writeFileSync } from "node:fs";
import path from "node:path";
import { encodePng } from "../data/png.js";
import { noGrad } from "../autograd/tape.js";
import type { PromptFeatures } from "../methods/method.js";
import { concat, purposes, randn } from "../ops/index.js";
import { shiftedSigmas } from "../sampler/schedule.js";
import { tensorScope } from "../tensor/scope.js";
import type { Tensor } from "../tensor/tensor.js";
import { readPrompts } from "../text/prompts.js";
import { stepName } from "../checkpoint/folder.js";
import type { TrainConfig } from "./config.js";
import type { MetricsLog } from "./metrics.js";
import type { RunFolder } from "./run_folder.js";
import { gridOfImages, sampleImages } from "./samples.js";
import type { Setup } from "./setup.js";

/** Draws a run's sample grids: the same prompts and the same noise at every step. */
export class Sampler {
  constructor(
    readonly config: TrainConfig,
    readonly setup: Setup,
    readonly run: RunFolder,
  ) {}

  /** Writes samples/step-NNNNNN.png and the picture's event. */
  async draw(step: number, metrics: MetricsLog): Promise<void> {
    using scope = tensorScope();
    void scope;
    const { sampleCount, sampleSteps, sampleGuidance, shift, microBatch } = this.config;
    const images: Tensor[] = [];
    for (let start = 0; start < sampleCount; start += microBatch) {
      const places = Array.from(
        { length: Math.min(microBatch, sampleCount - start) },
        (_, i) => start + i,
      );
      images.push(
        await sampleImages(
          this.setup.policy,
          this.setup.decoder,
          await this.#features(places),
          this.#noise(places),
          { sigmas: shiftedSigmas(sampleSteps, shift), guidance: sampleGuidance },
        ),
      );
    }
    const grid = await gridOfImages(noGrad(() => concat(images, 0)));
    const png = encodePng(grid, { Software: "srpo-native", step: String(step) });
    writeFileSync(path.join(this.run.samples, `${stepName(step)}.png`), png);
    metrics.picture(step, "samples", grid.width, grid.height, png);
  }

  #noise(places: readonly number[]): Tensor {
    const { tokens, channels, model } = this.setup;
    return randn([places.length, tokens, channels], {
      seed: BigInt(this.config.seed),
      purpose: purposes.sampleNoise,
      step: 0,
      sample: places,
      device: model.parameters.device,
    });
  }

  async #features(places: readonly number[]): Promise<PromptFeatures> {
    const { data, encoders } = this.setup;
    const { samplePrompts } = this.config;
    if (samplePrompts === undefined || encoders === undefined)
      return data.features(places.map((place) => place % data.size));
    const prompts = await readPrompts(samplePrompts);
    return encoders.encode(places.map((place) => prompts[place % prompts.length]!));
  }
}
