// What each method does for one prompt, and what of it stands on the tape at once.
import { checkGrpo } from "../methods/grpo/grpo.js";
import type { TrainConfig } from "../train/config.js";
import { grpoOptions } from "../train/methods.js";

export interface MethodCounts {
  /** Transformer forwards without a gradient. */
  plain: number;
  /** Transformer forwards with one, each with its backward. */
  differentiated: number;
  /** Pictures decoded and scored with a gradient. */
  judged: number;
  /** Pictures decoded and scored without one. */
  seen: number;
  /** Pictures of a prompt in one forward with a gradient. */
  together: number;
  /** Forwards that are on the tape at once, one behind the other. */
  chain: number;
  /** Copies of the policy that are held beside it. */
  references: number;
  /** Optimizer steps an update. */
  passes: number;
}

const once = { seen: 0, together: 1, chain: 1, references: 0, passes: 1 } as const;

type Counts = (config: TrainConfig) => MethodCounts;

/** Every picture of a group is drawn and seen once, and some of its steps are trained. */
const grpo: Counts = (config) => {
  const { groupSize, passes, rolloutSteps, klWeight } = config;
  return {
    ...once,
    plain: groupSize * rolloutSteps,
    differentiated: groupSize * checkGrpo(grpoOptions(config)).trained,
    judged: 0,
    seen: groupSize,
    references: klWeight > 0 ? 1 : 0,
    passes,
  };
};

const methods: Readonly<Record<TrainConfig["method"], Counts>> = {
  srpo({ images, rolloutSteps, branches, branchesTogether }) {
    const of = branches === "both" ? 2 : 1;
    return {
      ...once,
      plain: images === undefined ? rolloutSteps : 0,
      differentiated: of,
      judged: of,
      together: branchesTogether ? of : 1,
    };
  },
  "direct-align": ({ images, rolloutSteps, injections }) => ({
    ...once,
    plain: images === undefined ? rolloutSteps : 0,
    differentiated: injections,
    judged: injections,
  }),
  refl: ({ images, rolloutSteps, stopSteps, pretrainWeight }) => ({
    ...once,
    // The stop is uniform among the last steps.
    plain: rolloutSteps - (stopSteps + 1) / 2,
    differentiated: images !== undefined && pretrainWeight > 0 ? 2 : 1,
    judged: 1,
  }),
  draft: ({ rolloutSteps, lastSteps, recomputeSteps }) => ({
    ...once,
    plain: rolloutSteps - (recomputeSteps ? 1 : lastSteps),
    differentiated: lastSteps,
    judged: 1,
    chain: recomputeSteps ? 1 : lastSteps,
  }),
  "draft-lv": ({ rolloutSteps, renoisings }) => ({
    ...once,
    plain: rolloutSteps - 1,
    differentiated: 1 + renoisings,
    judged: 1 + renoisings,
  }),
  "dance-grpo": grpo,
  "flow-grpo": grpo,
};

/** The work of a method on one prompt. */
export function methodCounts(config: TrainConfig): MethodCounts {
  return methods[config.method](config);
}
