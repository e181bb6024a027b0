import { srpoControlWords } from "./control_words.js";
import type { DirectAlignOptions } from "./direct_align.js";
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
