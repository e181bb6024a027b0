// What `--preset` stands for, by method: the options that differ from the schema's defaults, which are
// SRPO's with HPS.
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
    recompute: false,
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
};

/** The options of a preset for a method; nothing for a name that is neither. */
export function presetOptions(preset: unknown, method: unknown): Options {
  const known = (name: unknown, table: object) =>
    typeof name === "string" && Object.hasOwn(table, name);
  if (!known(preset, presets)) return {};
  const own = known(method, ofMethod) ? ofMethod[method as TrainConfig["method"]] : undefined;
  return { ...presets[preset as Preset], ...own?.[preset as Preset] };
}
