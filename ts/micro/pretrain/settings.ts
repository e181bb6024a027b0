import { SrpoError } from "../../native/error.js";
import { constantThenLinear, warmCosine, type Rate } from "./rates.js";

/** What a stage's training loop needs to know beside its loss. */
export interface StageSettings {
  readonly steps: number;
  readonly batch: number;
  /** The learning rate of an update, 1 the first. */
  readonly rate: Rate;
  readonly weightDecay: number;
  readonly maxGradNorm: number;
  /** Decay of the weights' moving average, which is what is kept; 0 keeps the weights themselves. */
  readonly ema: number;
  /** Updates between two checkpoints, which a run that was stopped goes on from. */
  readonly saveEvery: number;
  /** Updates between two looks at held-out figures and pictures. */
  readonly lookEvery: number;
  readonly dtype: "float32" | "bfloat16";
}

export const stageNames = ["autoencoder", "reward", "judges", "policy"] as const;
export type StageName = (typeof stageNames)[number];

/** Everything that a run of pretraining is made of; with the seed it fixes every bit of the result. */
export interface PretrainSettings {
  readonly seed: bigint;
  /** Scenes a split, each drawn in all styles. */
  readonly scenes: {
    readonly training: number;
    readonly policy: number;
    readonly judging: number;
    readonly validation: number;
  };
  readonly autoencoder: StageSettings;
  readonly reward: StageSettings;
  readonly styleJudge: StageSettings;
  readonly attributeJudge: StageSettings;
  readonly policy: StageSettings;
}

export interface PretrainOptions {
  seed: bigint;
  /** Times the steps of the full run: 0.01 shows that all stages work, 1 is what the shipped weights got. */
  effort: number;
}

/**
 * The settings of microworld.md 5.1, with the steps that its 5.5 advises.
 *
 * @throws SrpoError ERR_RANGE unless 0 < effort <= 10
 */
export function pretrainSettings({ seed, effort }: PretrainOptions): PretrainSettings {
  if (!(effort > 0 && effort <= 10))
    throw new SrpoError("ERR_RANGE", `pretrain: effort: expected above 0 up to 10, got ${effort}`);
  const steps = (full: number) => Math.max(4, Math.round(full * effort));
  const scenes = (full: number) => Math.max(24, Math.round(full * Math.min(1, effort * 4)));
  const often = (full: number) => Math.round(full * Math.min(1, Math.max(0.1, effort)));
  const stage = (
    full: number,
    every: number,
    rate: (total: number) => Rate,
    rest: Omit<StageSettings, "steps" | "rate" | "saveEvery" | "lookEvery">,
  ): StageSettings => ({
    steps: steps(full),
    rate: rate(steps(full)),
    saveEvery: often(every),
    lookEvery: often(every),
    ...rest,
  });
  const common = { maxGradNorm: 1, ema: 0, dtype: "bfloat16" } as const;
  const cosine = (peak: number, end: number) => (total: number) => warmCosine(peak, end, total);
  const judge = (full: number) =>
    stage(full, 200, cosine(3e-3, 3e-5), { ...common, batch: 128, weightDecay: 1e-2 });
  return {
    seed,
    scenes: {
      training: scenes(5000),
      policy: scenes(8000),
      judging: scenes(2500),
      validation: Math.min(400, scenes(400)),
    },
    autoencoder: stage(6000, 500, cosine(3e-3, 6e-5), { ...common, batch: 16, weightDecay: 1e-4 }),
    reward: stage(1500, 250, cosine(1.2e-3, 6e-5), { ...common, batch: 128, weightDecay: 0.05 }),
    styleJudge: judge(300),
    attributeJudge: judge(1000),
    policy: stage(16_000, 1000, (total) => constantThenLinear(1.5e-3, 3e-5, total), {
      ...common,
      batch: 48,
      weightDecay: 1e-2,
      ema: 0.998,
    }),
  };
}
