/**
 * What random numbers are drawn for. A draw is named by (seed, purpose, step, sample), so that two
 * purposes never share a number. The values are part of every run that is resumed: add, never renumber.
 */
export const purposes = {
  /** For tests and scripts. */
  free: 0,
  /** Of a new model's weights; sample is the parameter's place. */
  initWeights: 1,
  /** The noise a training rollout starts from. */
  rolloutNoise: 2,
  /** Noise added within a rollout's steps (DanceGRPO, Flow-GRPO, SPO). */
  stepNoise: 3,
  /** SRPO's timestep index, one a prompt. */
  timestepIndex: 4,
  /** Which prompts come when. */
  dataOrder: 5,
  /** Known noise that clean latents are mixed with, where it is not the rollout's. */
  directNoise: 6,
  /** Noise of pictures that a run shows or scores. */
  sampleNoise: 7,
  /** The step at which a reward is taken (ReFL, DRaFT-LV). */
  rewardStep: 8,
  /** Choices among candidates, groups and pairs (GRPO, SPO, DPO). */
  choice: 9,
  /** Random sides or crops of images. */
  augmentation: 10,
  /** Geometry, colour and texture of a scene of the micro world; step is its split, sample its number. */
  microScene: 11,
  /** What a block of such scenes shows; step is the split and the attribute, sample the block. */
  microAttributes: 12,
  /** The words of a scene's caption; step is its split, sample its number. */
  microCaption: 13,
  /** Which pictures, styles and phrasings a step of the micro models' pretraining sees. */
  pretrainData: 14,
  /** Its noise: of latents, of pictures, of the flow. */
  pretrainNoise: 15,
  /** Where the noisy steps of a rollout begin (Flow-GRPO-Fast), one a prompt. */
  sdeWindow: 16,
  /** Which way an updated bfloat16 weight is rounded (AdamW). */
  rounding: 17,
  /** Which way its moments are, where they are no floats; sample is 0 for the first, 1 for the second. */
  momentRounding: 18,
} as const;
