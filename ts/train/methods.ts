// The alignment methods by name: what each needs, and how it is made from a run's options.
import { checkDraft, Draft, type DraftOptions } from "../methods/draft.js";
import { checkDraftLv, DraftLv, type DraftLvOptions } from "../methods/draft_lv.js";
import { DirectAlign, type DirectAlignOptions } from "../methods/direct_align.js";
import type { Draws } from "../methods/draws.js";
import type { GroupDraws } from "../methods/grpo/draws.js";
import { checkGrpo, Grpo, type GrpoOptions } from "../methods/grpo/grpo.js";
import type { Method, Policy, RelativeReward, Reward, RewardParts } from "../methods/method.js";
import { checkRefl, Refl, type ReflOptions } from "../methods/refl.js";
import { Srpo, type SrpoOptions } from "../methods/srpo.js";
import { Window, type WindowOptions } from "../methods/window.js";
import type { RewardKind } from "../models/open_scores.js";
import { SrpoError } from "../native/error.js";
import type { TrainConfig } from "./config.js";

/** What a run has for its method. */
export interface MethodParts extends RewardParts, Draws {
  groups: GroupDraws;
  /** The frozen start of the policy; only if the run `needsReference`. */
  reference?: Policy | undefined;
}

interface Entry {
  /** Whether it takes real pictures (`images`), in place of its rollout or beside it. */
  takesImages: boolean;
  /** Throws ERR_CONFIG for options that do not fit together. */
  check(config: TrainConfig): void;
  make(config: TrainConfig, parts: MethodParts): Method;
}

/** `options` of a run, what is wrong with them, and the method that they make. */
function entry<O>(
  options: (config: TrainConfig) => O,
  make: new (options: O, parts: MethodParts) => Method,
  check: (options: O) => void,
  { takesImages = false } = {},
): Entry {
  return {
    takesImages,
    check: (config) => check(options(config)),
    make: (config, parts) => new make(options(config), parts),
  };
}

const checkWindow = ({ window }: { window: WindowOptions }): void => void new Window(window);

/** GRPO in one of its forms, which differ in what their presets say. */
const grpo: Entry = {
  takesImages: false,
  check: (config) => void checkGrpo(grpoOptions(config)),
  make: (config, parts) => new Grpo(grpoOptions(config), parts, config.method),
};

/** What a two-tower reward has alone: features of texts, wanted ones and unwanted ones. */
function relativeOf(reward: Reward): RelativeReward {
  if ("textFeatures" in reward) return reward;
  throw new SrpoError("ERR_CONFIG", "reward: expected one that compares texts, got a plain one");
}

/** SRPO: the only one that asks its reward for more than a number. */
const srpo: Entry = {
  takesImages: true,
  check: (config) => checkWindow(srpoOptions(config)),
  make: (config, parts) =>
    new Srpo(srpoOptions(config), { ...parts, reward: relativeOf(parts.reward) }),
};

const methods: Readonly<Record<TrainConfig["method"], Entry>> = {
  srpo,
  "direct-align": entry(directAlignOptions, DirectAlign, checkWindow, { takesImages: true }),
  refl: entry(reflOptions, Refl, checkRefl, { takesImages: true }),
  draft: entry(draftOptions, Draft, checkDraft),
  "draft-lv": entry(draftLvOptions, DraftLv, checkDraftLv),
  "dance-grpo": grpo,
  "flow-grpo": grpo,
};

/**
 * Before anything is loaded: whether the method can do what the run asks of it.
 *
 * @throws SrpoError ERR_CONFIG
 */
export function checkMethod(config: TrainConfig): void {
  const { method, images } = config;
  methods[method].check(config);
  if (images === undefined || methods[method].takesImages) return;
  const able = Object.entries(methods).flatMap(([name, { takesImages }]) =>
    takesImages ? [name] : [],
  );
  throw new SrpoError(
    "ERR_CONFIG",
    `images: expected none with method ${method}, which scores pictures of its own alone; ${able.join(", ")} take real ones`,
  );
}

// Why a reward without features of texts has no relative form.
const unrelated: Readonly<Record<Exclude<RewardKind, "two-tower">, string>> = {
  aesthetic: "the aesthetic predictor, which reads no text",
  "image-reward": "ImageReward, which reads picture and text as one",
};

/**
 * Before anything is loaded: whether the method can use a reward of this kind.
 *
 * @throws SrpoError ERR_CONFIG
 */
export function checkReward({ method }: TrainConfig, kind: RewardKind): void {
  if (methods[method] !== srpo || kind === "two-tower") return;
  const able = Object.entries(methods).flatMap(([name, other]) => (other === srpo ? [] : [name]));
  throw new SrpoError(
    "ERR_CONFIG",
    `reward: expected one that compares texts with method ${method} (HPSv2.1, PickScore, CLIP), got ` +
      `${unrelated[kind]}; ${able.join(", ")} take it`,
  );
}

/** Whether the method compares the policy with its start: a second transformer's weights. */
export function needsReference({ method, klWeight }: TrainConfig): boolean {
  return methods[method] === grpo && klWeight > 0;
}

/** The method of a run. */
export function methodOf(config: TrainConfig, parts: MethodParts): Method {
  return methods[config.method].make(config, parts);
}

/** What SRPO and Direct-Align share: where they step, and how a rollout goes. */
function stepOptions(config: TrainConfig) {
  return {
    window: {
      shift: config.shift,
      tableSteps: config.windowTable,
      range: [config.window[0]!, config.window[1]!],
      length: config.windowLength,
      groundtruthRatio: config.groundtruthRatio,
    },
    rolloutSteps: config.rolloutSteps,
    rolloutGuidance: config.rolloutGuidance,
    guidance: config.guidance,
  } as const;
}

export function directAlignOptions(config: TrainConfig): DirectAlignOptions {
  const { injections, discountShift } = config;
  return { ...stepOptions(config), injections, discountShift };
}

export function srpoOptions(config: TrainConfig): SrpoOptions {
  return {
    ...stepOptions(config),
    discountPositive: [config.discountPositive[0]!, config.discountPositive[1]!],
    discountNegative: [config.discountNegative[0]!, config.discountNegative[1]!],
    margin: config.margin,
    branches: config.branches,
    branchesTogether: config.branchesTogether,
    controlWords: { positive: config.positiveWords, negative: config.negativeWords },
  };
}

/** What the methods share that differentiate the sampler's last steps. */
function backpropOptions(config: TrainConfig) {
  const { rolloutSteps, shift, rolloutGuidance, guidance } = config;
  const loss = { map: config.rewardMap, margin: config.margin, scale: config.rewardScale };
  return { rolloutSteps, shift, rolloutGuidance, guidance, loss };
}

export function reflOptions(config: TrainConfig): ReflOptions {
  const { stopSteps, pretrainWeight } = config;
  return { ...backpropOptions(config), stopSteps, pretrainWeight };
}

export function draftOptions(config: TrainConfig): DraftOptions {
  const { lastSteps, recomputeSteps } = config;
  return { ...backpropOptions(config), lastSteps, recomputeSteps };
}

export function draftLvOptions(config: TrainConfig): DraftLvOptions {
  return { ...backpropOptions(config), renoisings: config.renoisings };
}

export function grpoOptions(config: TrainConfig): GrpoOptions {
  return {
    rolloutSteps: config.rolloutSteps,
    rolloutSigmas: config.rolloutSigmas,
    shift: config.shift,
    guidance: config.guidance,
    groupSize: config.groupSize,
    groupNoise: config.groupNoise,
    passes: config.passes,
    sdeForm: config.sdeForm,
    noiseLevel: config.noiseLevel,
    noisyEnd: config.noisyEnd,
    sdeWindow: config.sdeWindow,
    trainedFraction: config.trainedFraction,
    trainedSteps: config.trainedSteps,
    advantages: {
      spread: config.advantageSpread,
      deviation: config.advantageDeviation,
      eps: config.advantageEps,
      limit: config.advantageLimit,
    },
    clipRange: [config.clipRange[0]!, config.clipRange[1]!],
    klWeight: config.klWeight,
  };
}
