// Every option of `train`, once: flags, YAML keys, help and checks come from this table.
import path from "node:path";
import { danceGrpo } from "../methods/grpo/presets.js";
import { directAlign, draft, draftLv, refl, srpoHps } from "../methods/presets.js";
import { momentForms } from "../optim/adamw.js";
import { sdeForms } from "../sampler/sde.js";
import { timestepRoundings } from "../sampler/timestep.js";
import { recomputeForm } from "./recompute.js";
import { presetOptions } from "./presets.js";
import { resolve, type Schema, type Source, type Values } from "./schema.js";

const d = srpoHps;
const g = danceGrpo;

/** `--device` of every command that computes. */
export const deviceOption = {
  type: "text",
  default: "cpu",
  pattern: { form: /^(?:cpu|emulated|cuda:\d{1,3})$/, says: "cpu, emulated or cuda:N" },
  help: "cpu, emulated or cuda:N",
} as const;

// More than any machine holds, and less than what no heap holds.
const mostSteps = 10_000;
/** Pixels of a side. */
export const mostPixels = 8192;

// A line an option reads as the table that it is.
// prettier-ignore
export const trainSchema = {
  model: { type: "text", path: true, help: "folder of the policy: transformer, vae, text encoders, tokenizers; or a transformer's file", group: "what" },
  base: { type: "text", path: true, help: "FLUX folder that has what the model, if it is a file, has not; default: the folder it lies in", group: "what" },
  reward: { type: "text", path: true, help: "folder or file of the reward, HPSv2.1, PickScore, CLIP, the aesthetic predictor or ImageReward (the last two not with srpo); default: reward/ inside the model's folder", group: "what" },
  prompts: { type: "text", path: true, help: "file of prompts, one a line; default: the package's own list, or the micro world's captions for a model of it", group: "what" },
  embeddings: { type: "text", path: true, help: "folder that `preprocess` wrote, instead of the text encoders", group: "what" },
  images: { type: "text", path: true, help: "folder of pictures with captions (NAME.png, NAME.txt): offline training, no rollout (refl: a denoising loss beside it)", group: "what" },
  allowUnknownWords: { type: "boolean", default: false, help: "with a model of the micro world: train on prompts although it has never seen some of their words", group: "what" },
  method: { type: "text", default: "srpo", choices: ["srpo", "direct-align", "refl", "draft", "draft-lv", "dance-grpo", "flow-grpo"], help: "alignment method; a preset gives each its own published values", group: "what" },
  preset: { type: "text", default: "hps", choices: ["hps", "pickscore", "micro"], help: "published hyperparameters that the other options start from", group: "what" },

  loraRank: { type: "number", integer: true, min: 0, max: 4096, default: 0, help: "train a LoRA of this rank, A normal and B zero, on weights that stay as they are; 0: all weights (lr is then some 10 times lower)", group: "lora" },
  loraAlpha: { type: "number", min: 1e-6, max: 1e6, help: "the LoRA counts alpha / rank times; default: the rank", group: "lora" },
  loraLayers: { type: "texts", default: ["attention", "mlp"], help: "of the blocks: attention, mlp, modulation", group: "lora" },
  baseDtype: { type: "text", default: "precision", choices: ["precision", "fp8"], help: "of the weights beneath a LoRA: fp8 holds the blocks' matrices as 8-bit floats with a scale a row, half of bf16's memory, each whole only while it is used", group: "lora" },

  out: { type: "text", path: true, help: "run folder; default: runs/<method>-<date>", group: "run" },
  resume: { type: "text", path: true, help: "a run folder, or one of its checkpoints, to go on from, bit for bit", group: "run" },
  steps: { type: "number", integer: true, min: 1, default: 19, help: "updates (the released recipe made 19)", group: "run" },
  seed: { type: "seed", default: "42", help: "of everything that is drawn", group: "run" },
  device: { ...deviceOption, group: "run" },
  precision: { type: "text", default: "bf16", choices: ["bf16", "f32"], help: "bf16: bf16 weights with exact float32 updates; f32: all float32", group: "run" },
  threads: { type: "number", integer: true, min: 0, max: 1024, default: 0, help: "of the cpu device; 0: all. Results do not depend on it", group: "run" },
  saveEvery: { type: "number", integer: true, min: 0, default: 20, help: "updates between checkpoints; 0: only at the end", group: "run" },
  keep: { type: "number", integer: true, min: 1, default: 5, help: "newest checkpoints that are kept", group: "run" },
  saveDtype: { type: "text", default: "bfloat16", choices: ["bfloat16", "float32"], help: "of the saved weights", group: "run" },
  sampleEvery: { type: "number", integer: true, min: 0, default: 10, help: "updates between sample grids; 0: none", group: "run" },
  sampleCount: { type: "number", integer: true, min: 1, max: 64, default: 8, help: "pictures in a grid", group: "run" },
  samplePrompts: { type: "text", path: true, help: "file of the grid's prompts; default: the first of `prompts`", group: "run" },
  sampleSteps: { type: "number", integer: true, min: 1, max: mostSteps, default: 50, help: "Euler steps of a sample", group: "run" },
  sampleGuidance: { type: "number", default: 3.5, help: "guidance input of a sample", group: "run" },

  evalEvery: { type: "number", integer: true, min: 0, help: "updates between evaluations, and before the first; 0: none; default: 5 with keepBest or evalReward", group: "evaluation" },
  evalReward: { type: "text", path: true, help: "folder or file of a second reward, which judges and never trains; its figure is `score`", group: "evaluation" },
  evalPrompts: { type: "text", path: true, help: "file of the prompts that the second reward judges; default: the last `evalCount` of the run's, which are then not trained on", group: "evaluation" },
  evalCount: { type: "number", integer: true, min: 1, max: 4096, default: 16, help: "prompts of an evaluation; judges of a micro folder see four pictures of each", group: "evaluation" },
  keepBest: { type: "text", help: "figure whose best checkpoint is kept, as checkpoints/best: score, or realism, alignment, ... of judges", group: "evaluation" },
  keepIf: { type: "texts", help: "what else the best must meet: alignment>=base-0.02 (base: before training), hacked<=0.1", group: "evaluation" },
  patience: { type: "number", integer: true, min: 0, default: 0, help: "evaluations without a better one after which training ends; 0: it does not", group: "evaluation" },

  height: { type: "number", integer: true, min: 16, max: mostPixels, default: 720, help: "of the pictures, in pixels", group: "batch" },
  width: { type: "number", integer: true, min: 16, max: mostPixels, default: 720, help: "of the pictures, in pixels", group: "batch" },
  batch: { type: "number", integer: true, min: 1, max: 65536, default: 32, help: "prompts an update, over all ranks", group: "batch" },
  microBatch: { type: "number", integer: true, min: 1, max: 4096, default: 1, help: "prompts a forward; the sum is the same", group: "batch" },
  noise: { type: "text", default: "shared", choices: ["shared", "per-prompt"], help: "one noise for all prompts of an update (official), or one each", group: "batch" },

  lr: { type: "number", min: 0, max: 1e5, default: 5e-6, help: "learning rate", group: "optimizer" },
  beta1: { type: "number", min: 0, max: 0.9999999, default: 0.9, help: "AdamW", group: "optimizer" },
  beta2: { type: "number", min: 0, max: 0.9999999, default: 0.999, help: "AdamW", group: "optimizer" },
  eps: { type: "number", min: 0, max: 0.1, default: 1e-8, help: "AdamW", group: "optimizer" },
  weightDecay: { type: "number", min: 0, max: 1e5, default: 1e-4, help: "AdamW, decoupled", group: "optimizer" },
  rounding: { type: "text", default: "remainder", choices: ["remainder", "stochastic"], help: "of bf16 weights: exact by 16 more bits each, or at random, right on average, without them", group: "optimizer" },
  moments: { type: "text", default: "float32", choices: momentForms, help: "AdamW's m and v: exact, or in 2 bytes or 1 each, rounded at random, right on average", group: "optimizer" },
  gradDtype: { type: "text", default: "float32", choices: ["float32", "bfloat16"], help: "of the gradients that an update's prompts are summed into; bfloat16, with bf16 weights, rounds every sum to nearest", group: "optimizer" },
  zero: { type: "number", integer: true, min: 1, max: 2, default: 1, help: "of several ranks. 1: each has all gradients and its part of the update; 2: gradients go to their ranks while backward runs and each keeps its part alone (fewer bytes held; moved once a backward)", group: "optimizer" },
  modulationGradients: { type: "text", default: "full", choices: ["full", "factors"], help: "of the modulations' matrices, which see one row a sample: a buffer as the others, or those rows, from which the update sums them up (all weights)", group: "optimizer" },
  maxGradNorm: { type: "number", min: 0, default: 0.1, help: "global clip; 0: none", group: "optimizer" },
  schedule: { type: "text", default: "constant", choices: ["constant", "linear", "cosine"], help: "of the learning rate, after the warm-up", group: "optimizer" },
  warmup: { type: "number", integer: true, min: 0, default: 0, help: "updates of linear warm-up", group: "optimizer" },
  ema: { type: "number", min: 0, max: 1, default: 0, help: "decay of the averaged weights, float32; 0: none", group: "optimizer" },

  timesteps: { type: "text", default: "integer", choices: timestepRoundings, help: "integer: trunc(1000 sigma); exact: sigma itself; reference: integer, rounded to bf16 as the official autocast", group: "srpo" },
  rolloutSteps: { type: "number", integer: true, min: 1, max: mostSteps, default: d.rolloutSteps, help: "Euler steps of the rollout", group: "srpo" },
  rolloutGuidance: { type: "number", default: d.rolloutGuidance, help: "guidance input of the rollout", group: "srpo" },
  guidance: { type: "number", default: d.guidance, help: "guidance input of the differentiated call", group: "srpo" },
  shift: { type: "number", min: 0.01, default: d.window.shift, help: "static time shift (refl, draft, draft-lv: 1.88, e^mu of the dynamic one at 512 x 512)", group: "srpo" },
  windowTable: { type: "number", integer: true, min: 2, max: mostSteps, default: d.window.tableSteps, help: "steps of the table that `window` indexes (vis_sampling_step)", group: "srpo" },
  window: { type: "numbers", length: 2, default: d.window.range, help: "first and last index into that table (train_timestep)", group: "srpo" },
  windowLength: { type: "number", integer: true, min: 11, max: mostSteps, default: d.window.length, help: "noise levels in the window (timestep_length)", group: "srpo" },
  groundtruthRatio: { type: "number", min: 0, max: 1, default: d.window.groundtruthRatio, help: "share of the noise that is removed exactly", group: "srpo" },
  discountPositive: { type: "numbers", length: 2, default: d.discountPositive, help: "k of the denoise branch, from the window's low-noise end to its high-noise end", group: "srpo" },
  discountNegative: { type: "numbers", length: 2, default: d.discountNegative, help: "k of the inversion branch", group: "srpo" },
  margin: { type: "number", default: d.margin, help: "of the hinge relu(margin - R)", group: "srpo" },
  branches: { type: "text", default: d.branches, choices: ["both", "denoise", "inversion"], help: "both is the method", group: "srpo" },
  branchesTogether: { type: "boolean", default: d.branchesTogether, help: "both branches as one batch of two: the same sum", group: "srpo" },
  positiveWords: { type: "texts", default: d.controlWords.positive, help: "wanted control words", group: "srpo" },
  negativeWords: { type: "texts", default: d.controlWords.negative, help: "unwanted control words", group: "srpo" },

  injections: { type: "number", integer: true, min: 1, max: 64, default: directAlign.injections, help: "noise levels a prompt of direct-align, each with a gradient", group: "direct-align" },
  discountShift: { type: "number", min: 0, default: directAlign.discountShift, help: "time shift of direct-align's weight of a noise level, larger at more noise; 0: all weigh the same", group: "direct-align" },

  rewardMap: { type: "text", default: draft.loss.map, choices: ["linear", "hinge"], help: "loss of a reward: -R, or relu(margin - R) (refl and draft-lv with preset hps: hinge, margin 0.55)", group: "refl, draft, draft-lv" },
  rewardScale: { type: "number", min: 0, max: 1e6, default: draft.loss.scale, help: "factor of that loss (grad_scale)", group: "refl, draft, draft-lv" },
  stopSteps: { type: "number", integer: true, min: 1, max: mostSteps, default: refl.stopSteps, help: "refl: last steps of the rollout among which its stop is drawn", group: "refl, draft, draft-lv" },
  pretrainWeight: { type: "number", min: 0, max: 1e6, default: refl.pretrainWeight, help: "refl with `images`: weight of the ordinary denoising loss on them, beside the reward's; 0: none", group: "refl, draft, draft-lv" },
  lastSteps: { type: "number", integer: true, min: 1, max: mostSteps, default: draft.lastSteps, help: "draft: K, steps that are differentiated; rolloutSteps: all", group: "refl, draft, draft-lv" },
  renoisings: { type: "number", integer: true, min: 0, max: 64, default: draftLv.renoisings, help: "draft-lv: pictures beside the rollout's end, each from a fresh re-noising", group: "refl, draft, draft-lv" },

  rolloutSigmas: { type: "text", default: g.rolloutSigmas, choices: ["shift", "dynamic"], help: "noise levels of the rollout: by `shift`, or diffusers', by the number of tokens (flow-grpo)", group: "grpo" },
  sdeForm: { type: "text", default: g.sdeForm, choices: sdeForms, help: "noise of a rollout's step: dance: noiseLevel; flow: noiseLevel sqrt(sigma / (1 - sigma)); cps: Flow-GRPO-Fast's", group: "grpo" },
  noiseLevel: { type: "number", min: 0, max: 100, default: g.noiseLevel, help: "eta of dance, a of flow (0.9) and cps (0.8)", group: "grpo" },
  noisyEnd: { type: "boolean", default: g.noisyEnd, help: "noise in the last step too (flow-grpo); else its picture is the clean estimate", group: "grpo" },
  sdeWindow: { type: "number", integer: true, min: 0, max: mostSteps, default: g.sdeWindow, help: "steps in a row that have noise, from one of the first half on, all trained (Flow-GRPO-Fast: 3); 0: all have", group: "grpo" },
  trainedFraction: { type: "number", min: 0, max: 1, default: g.trainedFraction, help: "share of the noisy steps that are trained, rounded down (flow-grpo: 0.99)", group: "grpo" },
  trainedSteps: { type: "text", default: g.trainedSteps, choices: ["random", "first"], help: "which: a choice of each picture's own, or the noisiest (flow-grpo)", group: "grpo" },
  groupSize: { type: "number", integer: true, min: 2, max: 1024, default: g.groupSize, help: "pictures a prompt, each a forward of `microBatch` prompts (flow-grpo: 24)", group: "grpo" },
  groupNoise: { type: "text", default: g.groupNoise, choices: ["group", "picture"], help: "one first noise for a prompt's pictures (init_same_noise), or one each (flow-grpo)", group: "grpo" },
  passes: { type: "number", integer: true, min: 1, max: 1024, default: g.passes, help: "optimizer steps an update, each from its part of every group (flow-grpo: 2)", group: "grpo" },
  advantageSpread: { type: "text", default: g.advantages.spread, choices: ["group", "update"], help: "rewards whose deviation an advantage is divided by: the prompt's, or all (flow-grpo: global_std)", group: "grpo" },
  advantageDeviation: { type: "text", default: g.advantages.deviation, choices: ["sample", "population"], help: "over n - 1, or over n (flow-grpo)", group: "grpo" },
  advantageEps: { type: "number", min: 0, max: 1e3, default: g.advantages.eps, help: "added to that deviation (flow-grpo: 1e-4)", group: "grpo" },
  advantageLimit: { type: "number", min: 0, max: 1e6, default: g.advantages.limit, help: "largest advantage in size (adv_clip_max)", group: "grpo" },
  clipRange: { type: "numbers", length: 2, default: g.clipRange, help: "how far below and above 1 a likelihood ratio counts; densities are means over elements", group: "grpo" },
  klWeight: { type: "number", min: 0, max: 1e6, default: g.klWeight, help: "beta of the distance to the start's policy, whose weights are held beside (flow-grpo on SD3.5: 0.01 to 0.04); 0: none", group: "grpo" },

  recomputeSteps: { type: "boolean", default: draft.recomputeSteps, help: "draft: keep one differentiated step at a time and run the others again in backward", group: "memory" },
  recompute: { type: "text", default: "auto", pattern: recomputeForm, help: "transformer blocks that run again in backward instead of keeping what they save: as few as memory allows (auto), none, all, or the first so many", group: "memory" },
  recomputeVae: { type: "boolean", default: true, help: "the same for the VAE decoder's", group: "memory" },
} as const satisfies Schema;

export type TrainConfig = Values<typeof trainSchema>;

/**
 * The resolved configuration of a run: defaults, the preset as its method has it, then each source in turn.
 *
 * @throws SrpoError ERR_CONFIG that names every wrong value at once
 */
export function trainConfig(sources: readonly Source[]): TrainConfig {
  const last = (name: "preset" | "method"): unknown =>
    sources.findLast(({ values }) => values[name] !== undefined)?.values[name] ??
    trainSchema[name].default;
  const values = presetOptions(last("preset"), last("method"));
  return resolve(trainSchema, [{ name: "preset", values }, ...sources]);
}

/** The same configuration wherever the next command is started: paths made absolute. */
export function withFullPaths(config: TrainConfig): TrainConfig {
  const full = Object.entries(trainSchema).flatMap(([name, spec]) => {
    const value = config[name as keyof TrainConfig];
    return "path" in spec && typeof value === "string" ? [[name, path.resolve(value)]] : [];
  });
  return { ...config, ...(Object.fromEntries(full) as Partial<TrainConfig>) };
}
