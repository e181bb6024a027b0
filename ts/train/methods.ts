// The alignment methods by name: what each needs, and how it is made from a run's options.
import { DirectAlign, type DirectAlignOptions } from "../methods/direct_align.js";
import type { Draws } from "../methods/draws.js";
import type { LatentDecoder, Method, Policy, RelativeReward } from "../methods/method.js";
import { Srpo, type SrpoOptions } from "../methods/srpo.js";
import { SrpoError } from "../native/error.js";
import type { TrainConfig } from "./config.js";

/** What a run has for its method. */
export interface MethodParts extends Draws {
  policy: Policy;
  decoder: LatentDecoder;
  reward: RelativeReward;
}

interface Entry {
  /** Whether clean latents of real pictures (`images`) may stand for its rollout. */
  offline: boolean;
  make(config: TrainConfig, parts: MethodParts): Method;
}

const methods: Readonly<Record<TrainConfig["method"], Entry>> = {
  srpo: { offline: true, make: (config, parts) => new Srpo(srpoOptions(config), parts) },
  "direct-align": {
    offline: true,
    make: (config, parts) => new DirectAlign(directAlignOptions(config), parts),
  },
};

/**
 * Before anything is loaded: whether the method can do what the run asks of it.
 *
 * @throws SrpoError ERR_CONFIG
 */
export function checkMethod({ method, images }: TrainConfig): void {
  if (images === undefined || methods[method].offline) return;
  const able = Object.entries(methods).flatMap(([name, { offline }]) => (offline ? [name] : []));
  throw new SrpoError(
    "ERR_CONFIG",
    `images: expected none with method ${method}, which scores pictures of its own; ${able.join(", ")} train on real ones`,
  );
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
