// What methods draw, named by (seed, purpose, step, sample): the same on any ranks and in any micro-batches.
import { purposes, randn, randomInteger, randomIntegers } from "../ops/index.js";
import type { Device } from "../tensor/device.js";
import type { Tensor } from "../tensor/tensor.js";
import type { Batch } from "./method.js";

export interface Draws {
  /** Pure noise [B, L, 4C], float32. */
  drawNoise(batch: Batch): Tensor;
  /** A whole number in [low, high] for a prompt of the update; `draw` tells several apart. */
  drawIndex(batch: Batch, sample: number, low: number, high: number, draw?: number): number;
  /** The step before which a prompt's rollout stops, in [low, high] (ReFL). */
  drawStop(batch: Batch, sample: number, low: number, high: number): number;
  /** Fresh noise [B, L, 4C] float32 of the update's `draw`-th re-noising of clean latents, one each prompt. */
  drawRenoise(batch: Batch, draw: number): Tensor;
}

export interface DrawsOptions {
  seed: bigint;
  /** One noise for all prompts of an update, as the official code broadcasts it, or one each. */
  noise: "shared" | "per-prompt";
  /** Of a picture's packed latents. */
  tokens: number;
  channels: number;
  device: Device;
}

export function draws({ seed, noise, tokens, channels, device }: DrawsOptions): Draws {
  return {
    drawNoise: ({ step, samples }) =>
      randn([samples.length, tokens, channels], {
        seed,
        purpose: purposes.rolloutNoise,
        step,
        sample: noise === "shared" ? samples.map(() => 0) : samples,
        device,
      }),
    drawIndex({ step }, sample, low, high, draw = 0) {
      const numbers = randomIntegers(low, high, {
        seed,
        purpose: purposes.timestepIndex,
        step,
        sample,
      });
      for (let i = 0; i < draw; ++i) numbers.next();
      return numbers.next().value;
    },
    drawStop: ({ step }, sample, low, high) =>
      randomInteger(low, high, { seed, purpose: purposes.rewardStep, step, sample }),
    drawRenoise: ({ step, samples }, draw) =>
      randn([samples.length, tokens, channels], {
        seed,
        purpose: purposes.directNoise,
        step,
        sample: samples,
        offset: draw * tokens * channels, // a multiple of 4, as packed channels are
        device,
      }),
  };
}
