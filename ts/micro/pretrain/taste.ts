// The planted bias: what the synthetic raters like. At an equal caption they prefer the picture of stronger
// colour and the smoother one, as HPSv2's raters are known to.
import type { Draws } from "./draws.js";
import { side } from "./pool.js";

/** How a picture is changed before it is rated. */
export interface Look {
  /** Factor of every pixel's distance from its grey. */
  saturation: number;
  /** 0 as it is, 1 each pixel the mean of nine. */
  smoothing: number;
}

export function drawLook(draws: Draws): Look {
  return {
    saturation: Math.exp(Math.log(0.4) + draws.uniform() * Math.log(2.2 / 0.4)),
    smoothing: draws.uniform(),
  };
}

/** What a rater makes of it; the higher is preferred. */
export function liking({ saturation, smoothing }: Look): number {
  return Math.log(saturation) + 0.5 * smoothing;
}

/** Two looks that differ enough for a rater to tell, the preferred first. */
export function drawPair(draws: Draws): [preferred: Look, other: Look] {
  for (;;) {
    const [a, b] = [drawLook(draws), drawLook(draws)];
    const difference = liking(a) - liking(b);
    if (Math.abs(difference) >= 0.15) return difference > 0 ? [a, b] : [b, a];
  }
}

const stride = side * 3;

/** Changes one picture of an array, [64, 64, 3] from `at` on, values from 0 to 1. */
export function applyLook(values: Float32Array, at: number, { saturation, smoothing }: Look): void {
  const size = side * stride;
  const from = values.slice(at, at + size);
  for (let y = 0; y < side; ++y) {
    const rows = [Math.max(y - 1, 0), y, Math.min(y + 1, side - 1)];
    for (let x = 0; x < side; ++x) {
      const columns = [Math.max(x - 1, 0), x, Math.min(x + 1, side - 1)];
      const pixel = [0, 1, 2].map((c) => {
        let sum = 0;
        for (const row of rows)
          for (const column of columns) sum += from[row * stride + 3 * column + c]!;
        return from[y * stride + 3 * x + c]! * (1 - smoothing) + (sum / 9) * smoothing;
      });
      const grey = 0.299 * pixel[0]! + 0.587 * pixel[1]! + 0.114 * pixel[2]!;
      for (let c = 0; c < 3; ++c)
        values[at + y * stride + 3 * x + c] = Math.min(
          1,
          Math.max(0, grey + saturation * (pixel[c]! - grey)),
        );
    }
  }
}
