// What `--preset` stands for, by method: the options that differ from the schema's defaults, which are
// SRPO's with HPS.
import type { GrpoOptions } from "../methods/grpo/grpo.js";
import { danceGrpo, flowGrpo } from "../methods/grpo/presets.js";
import { refl, srpoPickScore } from "../methods/presets.js";
import type { TrainConfig } from "./config.js";

type Options = Readonly<Partial<TrainConfig>>;
type Preset = TrainConfig["preset"];

const presets: Readonly<Record<Preset, Options>> = {
  hps: {},
  pickscore: {
    window: srpoPickScore.window.range,
    rolloutGuidance: srpoPickScore.rolloutGuidance,
    discountPositive: srpoPickScore.discountPositive,
    discountNegative: srpoPickScore.discountNegative,
  },
  // For the micro folders that `init micro` writes: the same method at a size for a laptop.
  micro: {
    height: 64,
    width: 64,
    batch: 8,
    microBatch: 8,
    rolloutSteps: 8,
    sampleSteps: 12,
    evalCount: 32,
    lr: 3e-5,
    recompute: "none",
    recomputeVae: false,
  },
};

/** Published for ReFL and DRaFT-LV on FLUX.1-dev. Source: RuoyuWang-2077/FlowBP, flux1_refl.yaml. */
const fluxBackprop: Options = {
  height: 512,
  width: 512,
  lr: 1e-5,
  maxGradNorm: 1,
  ema: 0.995,
  steps: 300,
  shift: refl.shift,
  rolloutGuidance: refl.rolloutGuidance,
  guidance: refl.guidance,
  margin: refl.loss.margin,
};
const hinge: Options = { rewardMap: "hinge" };
// PickScore's and the micro reward's scores lie above that margin: there the hinge would be closed.
const linear: Options = { rewardMap: "linear" };
const oneSampler: Options = { rolloutGuidance: 1, guidance: 1 };
const micro: Options = { ...linear, ...oneSampler, recomputeSteps: false };

/** The method's own options of a form of GRPO, by their names here. */
function grpoForm({ advantages, ...options }: GrpoOptions): Options {
  return {
    ...options,
    advantageSpread: advantages.spread,
    advantageDeviation: advantages.deviation,
    advantageEps: advantages.eps,
    advantageLimit: advantages.limit,
  };
}
/** Source: XueZeyue/DanceGRPO, scripts/finetune/finetune_flux_grpo.sh. */
const dance: Options = { ...grpoForm(danceGrpo), lr: 1e-5, maxGradNorm: 1, steps: 300 };
/** Source: yifan123/flow_grpo, config/grpo.py; but its lr, 3e-4, is of LoRA. */
const flow: Options = {
  ...dance,
  ...grpoForm(flowGrpo),
  height: 512,
  width: 512,
  batch: 48,
  timesteps: "exact",
};
// Groups that a laptop has time for. A log density is a mean over 4096 elements and not over 130 000,
// whose spread is 6 times larger, and lr is 3 times.
const microGroups: Options = { guidance: 1, groupSize: 8, passes: 2, clipRange: [2e-3, 2e-3] };

// Laid over the preset where a method's published values are others.
const ofMethod: Readonly<
  Partial<Record<TrainConfig["method"], Readonly<Partial<Record<Preset, Options>>>>>
> = {
  refl: {
    hps: { ...fluxBackprop, ...hinge },
    pickscore: { ...fluxBackprop, ...linear },
    // The last half, as near as 8 steps come to 11 of 25.
    micro: { ...micro, stopSteps: 4 },
  },
  draft: {
    hps: { ...fluxBackprop, ...linear },
    pickscore: { ...fluxBackprop, ...linear },
    micro,
  },
  "draft-lv": {
    hps: { ...fluxBackprop, ...hinge },
    pickscore: { ...fluxBackprop, ...linear },
    micro,
  },
  "dance-grpo": {
    hps: dance,
    pickscore: dance,
    micro: { ...grpoForm(danceGrpo), ...microGroups, rolloutSteps: 8, maxGradNorm: 1 },
  },
  "flow-grpo": {
    hps: flow,
    pickscore: flow,
    micro: { ...grpoForm(flowGrpo), ...microGroups, timesteps: "exact", maxGradNorm: 1 },
  },
};

/** The options of a preset for a method; nothing for a name that is neither. */
export function presetOptions(preset: unknown, method: unknown): Options {
  const known = (name: unknown, table: object) =>
    typeof name === "string" && Object.hasOwn(table, name);
  if (!known(preset, presets)) return {};
  const own = known(method, ofMethod) ? ofMethod[method as TrainConfig["method"]] : undefined;
  return { ...presets[preset as Preset], ...own?.[preset as Preset] };
}
