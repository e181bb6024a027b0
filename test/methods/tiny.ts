// The smallest models that make up a whole SRPO update, with drawn weights: no norm, bias or modulation
// is left at 0 or 1.
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { backward } from "../../ts/autograd/backward.js";
import { isRecording } from "../../ts/autograd/tape.js";
import { draws } from "../../ts/methods/draws.js";
import { groupDraws } from "../../ts/methods/grpo/draws.js";
import { AutoencoderDecoder, FluxPolicy } from "../../ts/methods/flux_policy.js";
import type { Batch, Method, Policy } from "../../ts/methods/method.js";
import { srpoHps } from "../../ts/methods/presets.js";
import { Srpo, type SrpoOptions, type SrpoParts } from "../../ts/methods/srpo.js";
import { autoencoderConfig } from "../../ts/models/autoencoder/config.js";
import { Autoencoder } from "../../ts/models/autoencoder/model.js";
import { openClipConfig } from "../../ts/models/clip/config.js";
import { TwoTower } from "../../ts/models/clip/two_tower.js";
import { fluxConfig } from "../../ts/models/flux/config.js";
import { Flux } from "../../ts/models/flux/model.js";
import { initializeParameters } from "../../ts/nn/init.js";
import type { ParameterSet } from "../../ts/nn/parameter_set.js";
import { add, affine, cast, concat } from "../../ts/ops/index.js";
import { TwoTowerReward } from "../../ts/rewards/two_tower_reward.js";
import type { TimestepRounding } from "../../ts/sampler/timestep.js";
import type { Device } from "../../ts/tensor/device.js";
import { tensorScope, tidy } from "../../ts/tensor/scope.js";
import type { Tensor } from "../../ts/tensor/tensor.js";
import { ClipTokenizer, writeLearnedClip } from "../../ts/text/index.js";
import type { MethodParts } from "../../ts/train/methods.js";
import { randn } from "../support/index.js";

export type Precision = "float32" | "bfloat16";

export const captions = ["a red fox in snow", "a glass boat", "old town, night", "two owls"];

/** Latents' side, packed tokens and their channels; pictures have twice the side. */
export const side = 8;
export const tokens = (side / 2) ** 2;
export const channels = 12;

const flux = fluxConfig({
  num_layers: 1,
  num_single_layers: 1,
  num_attention_heads: 2,
  attention_head_dim: 16,
  axes_dims_rope: [4, 6, 6],
  joint_attention_dim: 10,
  pooled_projection_dim: 7,
  guidance_embeds: true,
  in_channels: channels,
});
const vae = autoencoderConfig({
  block_out_channels: [8, 16],
  latent_channels: channels / 4,
  layers_per_block: 1,
  norm_num_groups: 4,
  scaling_factor: 0.3611,
  shift_factor: 0.1159,
  use_quant_conv: false,
  use_post_quant_conv: false,
});

/** A tokenizer learned from the captions. */
export async function tinyTokenizer(variant: "open_clip" | "hf", maxLength: number) {
  const folder = mkdtempSync(path.join(os.tmpdir(), "srpo-tiny-"));
  try {
    await writeLearnedClip(folder, captions, { size: 520 });
    return await ClipTokenizer.load(folder, { variant, maxLength });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Draws every weight; the same numbers in any precision. */
export function drawWeights(set: ParameterSet, seed: number): void {
  initializeParameters(set, BigInt(seed));
  set.ranges.forEach(({ offset, size }, i) => {
    tidy(() => {
      const at = set.weights.viewOf(offset, [size]);
      const more = randn([size], { device: set.device, scale: 0.05, seed: 1000 * seed + i });
      const sum = cast(add(cast(at, "float32"), more), "bfloat16");
      at.copyFrom(cast(sum, set.dtype));
      return [];
    });
  });
}

export interface Tiny {
  flux: Flux;
  policy: FluxPolicy;
  decoder: AutoencoderDecoder;
  reward: TwoTowerReward;
  parts: MethodParts & { reward: TwoTowerReward };
  dispose(): void;
}

export interface TinyOptions {
  dtype?: Precision;
  timesteps?: TimestepRounding;
  recompute?: boolean;
  recomputeVae?: boolean;
  noise?: "shared" | "per-prompt";
}

export async function tiny(device: Device, options: TinyOptions = {}): Promise<Tiny> {
  const { dtype = "float32", timesteps = "integer", noise = "shared" } = options;
  const { recompute = false, recomputeVae = false } = options;
  const tokenizer = await tinyTokenizer("open_clip", 16);
  const clip = openClipConfig({
    embed_dim: 6,
    vision_cfg: { image_size: 8, layers: 1, width: 16, head_width: 8, patch_size: 4 },
    text_cfg: {
      context_length: 16,
      vocab_size: tokenizer.vocabularySize,
      width: 16,
      heads: 2,
      layers: 1,
    },
  });
  const model = new Flux(flux, { device, dtype, trainable: true });
  const autoencoder = new Autoencoder(vae, { device, dtype, parts: ["decoder"] });
  const tower = new TwoTower(clip, { device, dtype });
  drawWeights(model.parameters, 1);
  drawWeights(autoencoder.parameters, 2);
  drawWeights(tower.parameters, 3);
  // Pictures within [0, 1]: a clamp that bites has no gradient.
  for (const name of ["decoder.conv_out.weight", "decoder.conv_out.bias"]) {
    const w = autoencoder.parameters.get(name).detach();
    w.copyFrom(affine(w, 0.25, 0));
  }
  const grid = { height: side / 2, width: side / 2 };
  const policy = new FluxPolicy(model, grid, { timesteps, recompute });
  const decoder = new AutoencoderDecoder(autoencoder, side, side, { recompute: recomputeVae });
  const reward = new TwoTowerReward(tower, tokenizer, 1, false);
  const drawn = { seed: 5n, tokens, channels, device };
  return {
    flux: model,
    policy,
    decoder,
    reward,
    parts: {
      policy,
      decoder,
      reward,
      ...draws({ ...drawn, noise }),
      groups: groupDraws(drawn),
    },
    dispose() {
      policy.dispose();
      autoencoder.dispose();
      reward.dispose();
    },
  };
}

/** The preset with a rollout of two steps, and a margin that no reward reaches. */
export const tinyOptions: SrpoOptions = { ...srpoHps, rolloutSteps: 2, margin: 3 };

export function srpoOf(
  { parts }: Tiny,
  options: Partial<SrpoOptions> = {},
  other: Partial<SrpoParts> = {},
): Srpo {
  return new Srpo({ ...tinyOptions, ...options }, { ...parts, ...other });
}

/** Some prompts of an update of `of`. */
export function batchOf(
  device: Device,
  samples: readonly number[],
  { of = samples.length, step = 1 }: { of?: number; step?: number } = {},
): Batch {
  const rows = (shape: readonly number[], seed: number) =>
    samples.map((s) => randn([1, ...shape], { device, seed: seed + s }));
  return {
    step,
    pass: 0,
    captions: samples.map((s) => captions[s]!),
    features: { txt: joined(rows([3, 10], 10)), pooled: joined(rows([7], 20)) },
    samples,
    share: samples.length / of,
  };
}

function joined(rows: readonly Tensor[]): Tensor {
  return rows.length === 1 ? rows[0]! : concat(rows, 0);
}

/** Differentiates every term as the trainer does. Returns each term's name and loss. */
export async function accumulate(
  method: Method,
  batches: readonly Batch[],
): Promise<[name: string, loss: number][]> {
  const losses: [string, Promise<number>][] = [];
  for (const batch of batches) {
    using scope = tensorScope();
    void scope;
    for await (const term of method.terms(batch)) {
      backward(term.loss);
      losses.push([term.name, term.loss.item()]);
    }
  }
  const all: [string, number][] = [];
  for (const [name, loss] of losses) all.push([name, await loss]);
  return all;
}

/** The gradients of an update, from zero. */
export async function gradientsOf(
  model: Tiny,
  batches: readonly Batch[],
  options: Partial<SrpoOptions> = {},
  other: Partial<SrpoParts> = {},
): Promise<Float32Array> {
  return (await updateOf(model, srpoOf(model, options, other), batches)).gradient;
}

/** What an update makes, from zero: each term's name and loss, their sum, and the gradient. */
export async function updateOf(
  { flux: { parameters } }: Tiny,
  method: Method,
  batches: readonly Batch[],
): Promise<{ terms: [string, number][]; loss: number; gradient: Float32Array }> {
  parameters.zeroGradients();
  const terms = await accumulate(method, batches);
  const loss = terms.reduce((sum, [, each]) => sum + each, 0);
  return { terms, loss, gradient: await parameters.gradients!.read() };
}

/** The model's policy where a tape is kept, and a frozen one of the same weights where none is. */
export function frozenRollout(model: Tiny, frozen: Tiny): Policy {
  return {
    velocity: (...call) => (isRecording() ? model : frozen).policy.velocity(...call),
  };
}

/** The same policy, telling of each call. */
export function watched(
  policy: Policy,
  onCall: (sigmas: readonly number[], guidance: number) => void,
): Policy {
  return {
    velocity(latents, sigmas, features, guidance) {
      onCall(sigmas, guidance);
      return policy.velocity(latents, sigmas, features, guidance);
    },
  };
}
