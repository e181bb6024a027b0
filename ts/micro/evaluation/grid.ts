// Grid artefacts: what repeats every 4 pixels (a latent) or every 8 (a token of the transformer, a patch of the
// reward). The decoder leaves a little of it in every picture, so it counts relative to reconstructions.

/** Pixels of a latent, and of a token of 2 x 2 latents. */
export const gridPeriods = [4, 8] as const;
export type GridPeriod = (typeof gridPeriods)[number];

/** No outline counts for more than this, or one edge would outweigh a grid all over the picture. */
const mostDetail = 0.1;

/** Each pixel less the mean of its four neighbours, bounded; the border, which lacks some, is 0. */
function detailOf(luminance: Float64Array, side: number): Float64Array {
  const detail = new Float64Array(side * side);
  for (let y = 1; y + 1 < side; ++y)
    for (let x = 1; x + 1 < side; ++x) {
      const i = y * side + x;
      const around =
        luminance[i - 1]! + luminance[i + 1]! + luminance[i - side]! + luminance[i + side]!;
      detail[i] = Math.min(mostDetail, Math.max(-mostDetail, luminance[i]! - around / 4));
    }
  return detail;
}

/** The mean tile of a picture: what repeats with the period, [period, period]. The outermost tiles are left out. */
function meanTile(detail: Float64Array, side: number, period: number): Float64Array {
  const tile = new Float64Array(period * period);
  const tiles = side / period - 2;
  for (let y = period; y < side - period; ++y)
    for (let x = period; x < side - period; ++x)
      tile[(y % period) * period + (x % period)]! += detail[y * side + x]!;
  return tile.map((sum) => sum / (tiles * tiles));
}

/** Root mean square about the mean. */
function deviation(values: Float64Array): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
}

/**
 * How strong a grid there is in a picture: the detail (each pixel less its neighbours' mean) is averaged
 * over all tiles of the period, which leaves what repeats and averages the rest away; the root mean square
 * of that tile is the grid's amplitude. What repeats every 4 pixels also repeats every 8; it counts for 4 alone.
 *
 * @param luminance - [side, side], values from 0 to 1; side a multiple of 8, 32 or more
 */
export function gridAmplitudes(luminance: Float64Array, side: number): Record<GridPeriod, number> {
  const detail = detailOf(luminance, side);
  const four = meanTile(detail, side, 4);
  const eight = meanTile(detail, side, 8);
  // Less its own mean over the four quarters, which repeats every 4.
  const own = eight.map((value, i) => {
    const [y, x] = [Math.floor(i / 8), i % 8];
    const at = (row: number, column: number) => eight[(row % 8) * 8 + (column % 8)]!;
    return value - (value + at(y + 4, x) + at(y, x + 4) + at(y + 4, x + 4)) / 4;
  });
  return { 4: deviation(four), 8: deviation(own) };
}
