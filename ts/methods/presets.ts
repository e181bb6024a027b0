import { dynamicMu, fluxDevSchedule } from "../sampler/schedule.js";
import { srpoControlWords } from "./control_words.js";
import type { DirectAlignOptions } from "./direct_align.js";
import type { DraftOptions } from "./draft.js";
import type { DraftLvOptions } from "./draft_lv.js";
import type { ReflOptions } from "./refl.js";
import type { SrpoOptions } from "./srpo.js";

/**
 * The published hyperparameters of SRPO on FLUX.1-dev.
 *
 * @see Tencent-Hunyuan/SRPO, scripts/finetune/SRPO_training_hpsv2.sh and SRPO_training_ps.sh
 */
export const srpoHps: SrpoOptions = {
  window: { shift: 3, tableSteps: 50, range: [5, 25], length: 1000, groundtruthRatio: 0.9 },
  rolloutSteps: 25,
  rolloutGuidance: 1,
  guidance: 3.5,
  discountPositive: [0.1, 0.25],
  discountNegative: [0.3, 0.01],
  margin: 0.7,
  branches: "both",
  branchesTogether: false,
  controlWords: srpoControlWords,
};

export const srpoPickScore: SrpoOptions = {
  ...srpoHps,
  window: { ...srpoHps.window, range: [5, 30] },
  rolloutGuidance: 2,
  discountPositive: [0.1, 0.5],
  discountNegative: [0.6, 0.01],
};

/** Direct-Align with SRPO's window and rollout, and the one published lambda (methods.md 5.2, 6). */
export const directAlign: DirectAlignOptions = {
  window: srpoHps.window,
  rolloutSteps: srpoHps.rolloutSteps,
  rolloutGuidance: srpoHps.rolloutGuidance,
  guidance: srpoHps.guidance,
  injections: 1,
  discountShift: 3,
};

/** A sampler of FLUX.1-dev whose last steps are differentiated, and the loss on HPSv2.1. */
const fluxBackprop = {
  rolloutSteps: 25,
  // The dynamic shift of diffusers' FLUX pipeline is a static one of e^mu at any one size; at 512 x 512
  // that is 1.88.
  shift: Math.exp(dynamicMu(fluxDevSchedule, 32 * 32)),
  rolloutGuidance: 4,
  guidance: 4,
  loss: { map: "hinge", margin: 0.55, scale: 1 },
} as const;

/**
 * ReFL on FLUX.1-dev with HPSv2.1, 512 x 512.
 *
 * @see RuoyuWang-2077/FlowBP, configs/final/flux1/flux1_refl.yaml
 */
export const refl: ReflOptions = { ...fluxBackprop, stopSteps: 11, pretrainWeight: 1 };

/** DRaFT-1, the paper's cheapest; its loss is minus the reward. No published values for FLUX. */
export const draft: DraftOptions = {
  ...fluxBackprop,
  lastSteps: 1,
  recomputeSteps: true,
  loss: { ...fluxBackprop.loss, map: "linear" },
};

/**
 * DRaFT-LV on FLUX.1-dev with HPSv2.1, 512 x 512.
 *
 * @see RuoyuWang-2077/FlowBP, flowbp/trainers/flux1/draft_lv.py
 */
export const draftLv: DraftLvOptions = { ...fluxBackprop, renoisings: 2 };
