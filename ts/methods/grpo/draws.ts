// What GRPO draws, named by (seed, purpose, step, picture): the same in any micro-batches and passes.
import { purposes, randn, randomInteger, randomPermutation } from "../../ops/index.js";
import type { Device } from "../../tensor/device.js";
import type { Tensor } from "../../tensor/tensor.js";

/** A picture's number is its prompt's place in the update times the group size, plus its place in the group. */
export interface GroupDraws {
  /** Pure noise [B, L, 4C] float32, a picture's number each; one number twice is one noise twice. */
  drawStart(step: number, pictures: readonly number[]): Tensor;
  /** The noise of step i of each picture's rollout, [B, L, 4C] float32. */
  drawStepNoise(step: number, pictures: readonly number[], i: number): Tensor;
  /** 0 to count - 1 in random order: the steps of a picture in the order in which they are trained. */
  drawOrder(step: number, picture: number, count: number): number[];
  /** 0 to count - 1: where a prompt's noisy steps begin. */
  drawWindow(step: number, sample: number, count: number): number;
}

export interface GroupDrawsOptions {
  seed: bigint;
  /** Of a picture's packed latents. */
  tokens: number;
  channels: number;
  device: Device;
}

export function groupDraws({ seed, tokens, channels, device }: GroupDrawsOptions): GroupDraws {
  // A draw of its own for every step lies in one sequence a picture; parts begin at multiples of 4.
  const stride = 4 * Math.ceil((tokens * channels) / 4);
  return {
    drawStart: (step, pictures) =>
      randn([pictures.length, tokens, channels], {
        seed,
        purpose: purposes.rolloutNoise,
        step,
        sample: pictures,
        device,
      }),
    drawStepNoise: (step, pictures, i) =>
      randn([pictures.length, tokens, channels], {
        seed,
        purpose: purposes.stepNoise,
        step,
        sample: pictures,
        offset: i * stride,
        device,
      }),
    drawOrder: (step, picture, count) =>
      randomPermutation(count, { seed, purpose: purposes.choice, step, sample: picture }),
    drawWindow: (step, sample, count) =>
      randomInteger(0, count - 1, { seed, purpose: purposes.sdeWindow, step, sample }),
  };
}
