import { SrpoError } from "../native/error.js";
import { linspace } from "../sampler/float32.js";
import { shiftedSigmas } from "../sampler/schedule.js";

export interface WindowOptions {
  /** Static time shift; 3. */
  shift: number;
  /** Steps of the table that the window's ends index (`vis_sampling_step`); 50. */
  tableSteps: number;
  /** First and last index [a, b] into that table (`train_timestep`); [5, 25]. */
  range: readonly [number, number];
  /** N, the noise levels between them (`timestep_length`); 1000. */
  length: number;
  /** rho (`groundtruth_ratio`), the share of the noise that is removed exactly; 0.9. */
  groundtruthRatio: number;
}

/** One branch of a step, as noise levels and the index into its discounts. */
export interface BranchPlan {
  /** Where the model is called. */
  from: number;
  /** Where the image is recovered; below `from` it denoises, above it inverts. */
  to: number;
  /** Index into the table of discounts. */
  discountIndex: number;
}

/**
 * The training window: N noise levels in decreasing order, from which an index m, counted from the
 * low-noise end, picks where both branches step.
 *
 * @see methods.md 2.3; Tencent-Hunyuan/SRPO, fastvideo/SRPO.py
 */
export class Window {
  readonly sigmas: Float32Array;
  /** k0, the longest step in indices. */
  readonly longestStep: number;

  constructor(readonly options: WindowOptions) {
    const { shift, tableSteps, range, length, groundtruthRatio } = options;
    const [a, b] = range;
    if (!(Number.isInteger(a) && Number.isInteger(b) && 0 <= a && a < b && b <= tableSteps))
      throw new SrpoError(
        "ERR_CONFIG",
        `window: range: expected two whole numbers, 0 <= a < b <= ${tableSteps}, got [${a}, ${b}]`,
      );
    if (!(Number.isInteger(length) && length > 10))
      throw new SrpoError("ERR_CONFIG", `window: length: expected more than 10, got ${length}`);
    if (!(groundtruthRatio > 0 && groundtruthRatio < 1))
      throw new SrpoError(
        "ERR_CONFIG",
        `window: groundtruthRatio: expected a number between 0 and 1, got ${groundtruthRatio}`,
      );
    const table = shiftedSigmas(tableSteps, shift);
    this.sigmas = linspace(table[a]!, table[b]!, length);
    this.longestStep = Math.trunc((1 - groundtruthRatio) * length) + 1;
  }

  /** The lowest and highest m that is drawn, both included. */
  get drawn(): readonly [number, number] {
    return [5, this.options.length - 5];
  }

  /** k, the step's length in indices: shorter near both ends of the window. */
  stepLength(m: number): number {
    return Math.min(this.options.length - m, this.longestStep, m);
  }

  /** Steps down: the model is called at the noisier level. */
  denoise(m: number): BranchPlan {
    const { high, low } = this.#levels(m, this.stepLength(m));
    return { from: high, to: low, discountIndex: m };
  }

  /** Steps up, to the level that the denoise branch recovers at. */
  inversion(m: number): BranchPlan {
    const k = this.stepLength(m);
    const index = Math.max(m - k, 1);
    const { high, low } = this.#levels(index, k);
    return { from: low, to: high, discountIndex: index };
  }

  #levels(index: number, k: number): { high: number; low: number } {
    const n = this.options.length;
    return {
      high: this.sigmas[n - Math.min(index + k, n)]!,
      low: this.sigmas[n - index]!,
    };
  }
}

/** g = (to - from) / (1 - to): below 0 it denoises, above it inverts (methods.md 4). */
export function recoveryGain({ from, to }: { from: number; to: number }): number {
  return (to - from) / (1 - to);
}
