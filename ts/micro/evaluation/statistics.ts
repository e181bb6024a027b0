import { side } from "../pretrain/pool.js";
import { gridAmplitudes } from "./grid.js";

/** What is measured of a picture's pixels. */
export interface PictureStatistics {
  /** Mean over pixels of the channels' root mean square distance from their grey. */
  saturation: number;
  /** Standard deviation of the luminance. */
  contrast: number;
  /** Fine texture: mean absolute difference of the luminance from its mean over 3 x 3 pixels. */
  texture: number;
  /** Amplitudes of grids of 4 and 8 pixels; see `gridAmplitudes`. */
  grid4: number;
  grid8: number;
}

export const statisticNames = ["saturation", "contrast", "texture", "grid4", "grid8"] as const;

/** Rec. 601. */
const luma = [0.299, 0.587, 0.114] as const;

function meanTexture(luminance: Float64Array): number {
  let sum = 0;
  for (let y = 1; y + 1 < side; ++y)
    for (let x = 1; x + 1 < side; ++x) {
      let around = 0;
      for (let row = y - 1; row <= y + 1; ++row)
        for (let column = x - 1; column <= x + 1; ++column)
          around += luminance[row * side + column]!;
      sum += Math.abs(luminance[y * side + x]! - around / 9);
    }
  return sum / (side - 2) ** 2;
}

/** Of one picture of an array, [64, 64, 3] from `at` on, values from 0 to 1. */
export function statisticsOf(values: Float32Array, at: number): PictureStatistics {
  const pixels = side * side;
  const luminance = new Float64Array(pixels);
  let [chroma, sum, squares] = [0, 0, 0];
  for (let i = 0; i < pixels; ++i) {
    const from = at + 3 * i;
    const [r, g, b] = [values[from]!, values[from + 1]!, values[from + 2]!];
    const grey = luma[0] * r + luma[1] * g + luma[2] * b;
    luminance[i] = grey;
    chroma += Math.sqrt(((r - grey) ** 2 + (g - grey) ** 2 + (b - grey) ** 2) / 3);
    sum += grey;
    squares += grey * grey;
  }
  const grid = gridAmplitudes(luminance, side);
  return {
    saturation: chroma / pixels,
    contrast: Math.sqrt(Math.max(0, squares / pixels - (sum / pixels) ** 2)),
    texture: meanTexture(luminance),
    grid4: grid[4],
    grid8: grid[8],
  };
}
