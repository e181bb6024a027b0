// What each method of the demo is run with: chosen on prompts of the `tuning` split (bench/micro_tune.ts; README.md has what
// was tried), reported on those of `reporting`. One rule for all: of the learning rates tried, the largest that keeps
// alignment within two points of the base model.

/** Options of `train` by name. */
export type Options = Readonly<Record<string, unknown>>;

/** One line of the comparison. */
export interface Arm {
  name: string;
  title: string;
  /** What it is, or what it leaves out. */
  about: string;
  /** The rivals and SRPO, or SRPO with a part changed. */
  group: "methods" | "ablations";
  /** Laid over `common`; undefined: nothing is trained. */
  options: Options | undefined;
}

/** Updates of a run: enough to see, few enough to keep what the prompts ask for. */
export const updates = 20;

/**
 * What all share. Published values but for: sizes of the micro world; guidance 1, the only value that its policy
 * knows; a hinge that never closes, since micro cosines are about 0.7; control words that its reward learned.
 */
export const common: Options = {
  preset: "micro",
  batch: 16,
  microBatch: 16,
  noise: "shared",
  timesteps: "exact",
  rolloutSteps: 12,
  rolloutGuidance: 1,
  guidance: 1,
  lr: 3e-5,
  weightDecay: 1e-4,
  maxGradNorm: 0.1,
};

/**
 * k+ and k- are larger than the published [0.1, 0.25] and [0.3, 0.01]: here the cosines of two styles differ by about
 * 0.2 where HPS's differ by 0.03, so that the caption's own share of the reward would be lost beside them.
 */
const srpo: Options = {
  method: "srpo",
  lr: 1.5e-4,
  discountPositive: [2, 3],
  discountNegative: [0.1, 0.01],
  margin: 3,
  positiveWords: ["Natural-lighting", "Detailed", "Real", "Photo"],
  negativeWords: ["Concept art", "Painting", "Anime", "Flat", "Oil"],
};

export const arms: readonly Arm[] = [
  {
    name: "base",
    title: "base",
    about: "the policy as it was pretrained",
    group: "methods",
    options: undefined,
  },
  {
    name: "refl",
    title: "ReFL",
    about: "plain reward of a rollout that stops early at random, through its last step",
    group: "methods",
    options: { method: "refl", lr: 1e-4, shift: 3 },
  },
  {
    name: "draft-lv",
    title: "DRaFT-LV",
    about: "plain reward through the last step, of several noisings",
    group: "methods",
    options: { method: "draft-lv", lr: 1.5e-4, shift: 3 },
  },
  {
    name: "grpo",
    title: "DanceGRPO",
    about: "plain reward, policy gradient over groups of stochastic rollouts",
    group: "methods",
    // Groups of 8 pictures: with 4 prompts an update costs 1.7 times as many forwards as one of SRPO.
    options: {
      method: "dance-grpo",
      lr: 1.5e-4,
      batch: 4,
      microBatch: 4,
      rolloutSteps: 8,
      maxGradNorm: 1,
    },
  },
  {
    name: "flow-grpo",
    title: "Flow-GRPO",
    about: "plain reward, policy gradient with Flow-GRPO's noise and advantages",
    group: "methods",
    options: {
      method: "flow-grpo",
      lr: 3e-4,
      batch: 4,
      microBatch: 4,
      rolloutSteps: 8,
      maxGradNorm: 1,
    },
  },
  {
    name: "direct-align",
    title: "Direct-Align",
    about: "plain reward of pictures recovered from a known noise",
    group: "methods",
    options: { method: "direct-align", lr: 2e-4 },
  },
  {
    name: "srpo",
    title: "SRPO",
    about: "relative reward of pictures recovered from a known noise, both branches",
    group: "methods",
    options: srpo,
  },
  {
    name: "srpo-no-inversion",
    title: "without inversion",
    about: "the denoising branch alone",
    group: "ablations",
    options: { ...srpo, branches: "denoise" },
  },
  {
    name: "srpo-inversion-only",
    title: "inversion alone",
    about: "the inversion branch alone",
    group: "ablations",
    options: { ...srpo, branches: "inversion" },
  },
  {
    name: "srpo-late-window",
    title: "late window",
    about: "noise levels of steps 30 to 49 of 50 instead of 5 to 25",
    group: "ablations",
    options: { ...srpo, window: [30, 49] },
  },
  {
    name: "srpo-published-k",
    title: "published k",
    about: "k+ 0.1 to 0.25, k- 0.3 to 0.01, as for HPS",
    group: "ablations",
    options: { ...srpo, discountPositive: [0.1, 0.25], discountNegative: [0.3, 0.01] },
  },
  {
    name: "srpo-wrong-words",
    title: "wrong control words",
    about: "wanted and unwanted words exchanged",
    group: "ablations",
    options: {
      ...srpo,
      positiveWords: srpo["negativeWords"],
      negativeWords: srpo["positiveWords"],
    },
  },
];

/** The arm of a name; throws for none such: the callers have checked. */
export function armOf(name: string): Arm {
  const arm = arms.find((one) => one.name === name);
  if (arm === undefined) throw new Error(`demo: no arm ${name}`);
  return arm;
}
