// Which steps of a rollout have noise, and which of those are trained.
import { SrpoError } from "../../native/error.js";
import { eulerStep, sdeStep, type SdeForm, type SdeStep } from "../../sampler/sde.js";

export interface PlanOptions {
  sdeForm: SdeForm;
  /** eta of `dance` (0.3), a of `flow` (0.7 to 0.9) and `cps` (0.8). */
  noiseLevel: number;
  /**
   * Whether the last step is as the others (Flow-GRPO); else it has no noise and is not trained: the
   * picture is the clean estimate there (DanceGRPO).
   */
  noisyEnd: boolean;
  /** How many steps in a row have noise, the first of them drawn from the first half; 0: all of them. */
  sdeWindow: number;
  /** Share of the noisy steps that are trained, rounded down; a window's are trained all. */
  trainedFraction: number;
  /** Which: `random`, a choice of its own a picture (DanceGRPO); `first`, the noisiest (Flow-GRPO). */
  trainedSteps: "random" | "first";
}

/** One picture's rollout. */
export interface PicturePlan {
  steps: readonly SdeStep[];
  /** Indices of the trained steps, each with noise. */
  trained: readonly number[];
}

export class Planner {
  /** Where a window may begin: 0 to this, less 1; 1 without one. */
  readonly windowStarts: number;
  /** Noisy steps of a rollout, and how many of them are trained. */
  readonly noisy: number;
  readonly trained: number;

  /** @throws SrpoError ERR_CONFIG, naming the option */
  constructor(
    readonly sigmas: Float32Array,
    readonly options: PlanOptions,
  ) {
    const { noiseLevel, sdeWindow, trainedFraction } = options;
    const steps = sigmas.length - 1;
    const refuse = (what: string) => {
      throw new SrpoError("ERR_CONFIG", `grpo: ${what}`);
    };
    if (!(noiseLevel > 0))
      refuse(
        `noiseLevel: expected a number above 0, as a step without noise has no density, got ${noiseLevel}`,
      );
    const able = this.#withNoise(0, steps).filter(({ std }) => std > 0).length;
    this.windowStarts = sdeWindow > 0 ? Math.ceil(steps / 2) : 1;
    if (sdeWindow > 0 && this.windowStarts - 1 + sdeWindow > able)
      refuse(
        `sdeWindow: expected at most ${able - this.windowStarts + 1} for ${steps} steps, of which ${able} can have noise, got ${sdeWindow}`,
      );
    this.noisy = sdeWindow > 0 ? sdeWindow : able;
    this.trained = sdeWindow > 0 ? sdeWindow : Math.floor(able * trainedFraction);
    if (!(this.trained >= 1 && this.trained <= able))
      refuse(
        `trainedFraction: expected a share, at most 1, that leaves one or more of ${able} noisy steps, got ${trainedFraction}`,
      );
  }

  #withNoise(start: number, length: number): SdeStep[] {
    const { sdeForm: form, noiseLevel: level, noisyEnd } = this.options;
    const steps = this.sigmas.length - 1;
    const last = noisyEnd ? steps : steps - 1;
    return Array.from({ length: steps }, (_, i) =>
      start <= i && i < Math.min(start + length, last)
        ? sdeStep(this.sigmas, i, { form, level })
        : eulerStep(this.sigmas, i),
    );
  }

  /**
   * @param windowStart - below `windowStarts`
   * @param order - the noisy steps, `noisy` of them, in random order; asked for if needed
   */
  plan(windowStart: number, order: () => readonly number[]): PicturePlan {
    const { sdeWindow, trainedSteps } = this.options;
    const steps = this.#withNoise(windowStart, sdeWindow > 0 ? sdeWindow : this.sigmas.length);
    const noisy = steps.flatMap(({ std }, i) => (std > 0 ? [i] : []));
    const chosen = trainedSteps === "first" ? noisy : order().map((place) => noisy[place]!);
    return { steps, trained: chosen.slice(0, this.trained) };
  }
}
