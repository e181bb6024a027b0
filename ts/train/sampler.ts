import path from "node:path";
import { replaceFile } from "../checkpoint/durable.js";
import { gridText } from "../data/grid.js";
import { encodePng } from "../data/png.js";
import { noGrad } from "../autograd/tape.js";
import { concat, purposes, randn } from "../ops/index.js";
import { shiftedSigmas } from "../sampler/schedule.js";
import { tensorScope } from "../tensor/scope.js";
import type { Tensor } from "../tensor/tensor.js";
import { stepName } from "../checkpoint/folder.js";
import type { TrainConfig } from "./config.js";
import type { MetricsLog } from "./metrics.js";
import type { RunFolder } from "./run_folder.js";
import { gridColumns, gridOfImages, sampleImages } from "./samples.js";
import type { Setup } from "./setup.js";

/** Draws a run's sample grids: the same prompts and the same noise at every step. */
export class Sampler {
  constructor(
    readonly config: TrainConfig,
    readonly setup: Setup,
    readonly run: RunFolder,
  ) {}

  fileOf(step: number): string {
    return path.join(this.run.samples, `${stepName(step)}.png`);
  }

  /** Writes samples/step-NNNNNN.png and the picture's event; nothing if the signal comes before it is done. */
  async draw(step: number, metrics: MetricsLog, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    try {
      await this.#draw(step, metrics, signal);
    } catch (error) {
      if (!signal.aborted || error !== signal.reason) throw error;
    }
  }

  async #draw(step: number, metrics: MetricsLog, signal: AbortSignal): Promise<void> {
    using scope = tensorScope();
    void scope;
    const { sampleCount, sampleSteps, sampleGuidance, shift, microBatch } = this.config;
    const { sampleData, policy, decoder } = this.setup;
    const images: Tensor[] = [];
    for (let start = 0; start < sampleCount; start += microBatch) {
      const places = Array.from(
        { length: Math.min(microBatch, sampleCount - start) },
        (_, i) => start + i,
      );
      const features = await sampleData.features(places.map((place) => place % sampleData.size));
      images.push(
        await sampleImages(policy, decoder, features, this.#noise(places), {
          sigmas: shiftedSigmas(sampleSteps, shift),
          guidance: sampleGuidance,
          onStep: () => signal.throwIfAborted(),
        }),
      );
    }
    const grid = await gridOfImages(noGrad(() => concat(images, 0)));
    const { width, height } = this.config;
    const prompts = Array.from(
      { length: sampleCount },
      (_, i) => sampleData.captions[i % sampleData.size]!,
    );
    const png = encodePng(grid, {
      Software: "srpo-native",
      step: String(step),
      ...gridText({ prompts, width, height, columns: gridColumns(sampleCount) }),
    });
    await replaceFile(this.fileOf(step), (sink) => sink.write(png));
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
}
