import type { GrpoOptions } from "./grpo.js";

/**
 * DanceGRPO on FLUX.1-dev. Timesteps are integers there.
 *
 * @see XueZeyue/DanceGRPO, scripts/finetune/finetune_flux_grpo.sh; methods.md 9
 */
export const danceGrpo: GrpoOptions = {
  rolloutSteps: 16,
  rolloutSigmas: "shift",
  shift: 3,
  guidance: 3.5,
  groupSize: 12,
  groupNoise: "group",
  passes: 3,
  sdeForm: "dance",
  noiseLevel: 0.3,
  noisyEnd: false,
  sdeWindow: 0,
  trainedFraction: 0.6,
  trainedSteps: "random",
  advantages: { spread: "group", deviation: "sample", eps: 1e-8, limit: 5 },
  clipRange: [1e-4, 1e-4],
  klWeight: 0,
};

/**
 * Flow-GRPO on FLUX.1-dev; the code for other models and rewards has klWeight 0.01 to 0.04. Its fast
 * variant is sdeForm cps, noiseLevel 0.8, sdeWindow 3 and clipRange 1e-5. Timesteps are exact.
 *
 * @see yifan123/flow_grpo, config/grpo.py; methods.md 10
 */
export const flowGrpo: GrpoOptions = {
  ...danceGrpo,
  rolloutSteps: 6,
  rolloutSigmas: "dynamic",
  groupSize: 24,
  groupNoise: "picture",
  passes: 2,
  sdeForm: "flow",
  noiseLevel: 0.9,
  noisyEnd: true,
  trainedFraction: 0.99,
  trainedSteps: "first",
  advantages: { spread: "update", deviation: "population", eps: 1e-4, limit: 5 },
};
