// The whole SRPO update of the official code: rollout, both branches, every gradient, AdamW.
import { gradients } from "../autograd/backward.js";
import { isRecording, noGrad, requireGrad } from "../autograd/tape.js";
import { controlPrompts } from "../methods/control_words.js";
import { AutoencoderDecoder, FluxPolicy } from "../methods/flux_policy.js";
import type { Batch, LatentDecoder, Policy, RelativeReward } from "../methods/method.js";
import { srpoHps } from "../methods/presets.js";
import { Srpo, type SrpoOptions } from "../methods/srpo.js";
import { autoencoderConfig } from "../models/autoencoder/config.js";
import { Autoencoder } from "../models/autoencoder/model.js";
import { autoencoderNames } from "../models/autoencoder/names.js";
import { openClipConfig } from "../models/clip/config.js";
import { openClipNames } from "../models/clip/names.js";
import { TwoTower } from "../models/clip/two_tower.js";
import { fluxConfig } from "../models/flux/config.js";
import { Flux } from "../models/flux/model.js";
import { fluxNames } from "../models/flux/names.js";
import { diskBytes } from "../nn/load.js";
import type { NamesMap } from "../nn/names_map.js";
import { sizeOf } from "../nn/parameter.js";
import { add, affine, combine, packLatent, relativeReward } from "../ops/index.js";
import { AdamW } from "../optim/adamw.js";
import { gradNorm } from "../optim/clip.js";
import { denoise } from "../sampler/denoise.js";
import { linspace } from "../sampler/float32.js";
import { shiftedSigmas } from "../sampler/schedule.js";
import { integerTimestep } from "../sampler/timestep.js";
import { release } from "../tensor/scope.js";
import { Tensor, tensor } from "../tensor/tensor.js";
import type { ReplayRun } from "./replay.js";

const picture = { picture: true };
/** goldens/README.md: AdamW's results, and sigmas. */
const updateTolerance = 1e-3;
const sigmaTolerance = 2.4e-7;

interface StepConfig {
  args: {
    discount_inv: [number, number];
    discount_pos: [number, number];
    groundtruth_ratio: number;
    sampling_steps: number;
    shift: number;
    timestep_length: number;
    train_guidence: number;
    train_timestep: [number, number];
    vis_sampling_step: number;
  };
  caption: string;
  guidance_train_forward: number;
  optimizer: {
    betas: [number, number];
    eps: number;
    lr: number;
    max_grad_norm: number;
    weight_decay: number;
  };
  relu_margin: number;
  step: number;
}

function optionsOf({ args, ...config }: StepConfig): SrpoOptions {
  return {
    ...srpoHps,
    window: {
      shift: args.shift,
      tableSteps: args.vis_sampling_step,
      range: args.train_timestep,
      length: args.timestep_length,
      groundtruthRatio: args.groundtruth_ratio,
    },
    rolloutSteps: args.sampling_steps,
    rolloutGuidance: args.train_guidence,
    guidance: config.guidance_train_forward,
    discountPositive: args.discount_pos,
    discountNegative: args.discount_inv,
    margin: config.relu_margin,
  };
}

/** What a branch computed on its way, still on the tape. */
interface Seen {
  noisy?: Tensor;
  velocity?: Tensor;
  latent?: Tensor;
  decoded?: Tensor;
  image?: Tensor;
  pixels?: Tensor;
  features?: Tensor;
  reward?: Tensor;
}

interface Models {
  flux: Flux;
  vae: Autoencoder;
  clip: TwoTower;
}

interface Given {
  noise: Tensor;
  /** Of the latents. */
  size: readonly [h: number, w: number];
  m: number;
  text: Readonly<Record<"positive" | "negative", Tensor>>;
  batch: Batch;
}

/** The method wired as in training, but that what passes between its parts is kept in `seen`. */
function wired(models: Models, options: SrpoOptions, given: Given, seen: Seen): Srpo {
  const { flux, vae, clip } = models;
  const [h, w] = given.size;
  const grid = { height: h / 2, width: w / 2 };
  const inner = new FluxPolicy(flux, grid, { timesteps: "integer" });
  const vaeDecoder = new AutoencoderDecoder(vae, h, w);
  const prompts = controlPrompts(options.controlWords, given.batch.step, given.batch.captions[0]!);
  const policy: Policy = {
    velocity(latents, sigmas, features, guidance) {
      seen.noisy = isRecording() ? requireGrad(latents.detach()) : latents;
      seen.velocity = inner.velocity(seen.noisy, sigmas, features, guidance);
      return seen.velocity;
    },
  };
  const decoder: LatentDecoder = {
    height: h,
    width: w,
    scalingFactor: vaeDecoder.scalingFactor,
    shiftFactor: vaeDecoder.shiftFactor,
    decode(latent) {
      seen.latent = latent;
      seen.decoded = vaeDecoder.decode(latent);
      return seen.decoded;
    },
  };
  const reward: RelativeReward = {
    // The fixture has token ids of its own in the prompts' place.
    textFeatures: ([prompt]) =>
      prompt === prompts.positive ? given.text.positive : given.text.negative,
    score(image, wanted, unwanted, k) {
      seen.image = image;
      seen.pixels = clip.preprocess(image);
      const scored = relativeReward(clip.encodeImage(seen.pixels), clip.imageProjection, {
        positive: wanted,
        negative: unwanted,
        k,
      });
      seen.features = scored.features;
      seen.reward = scored.reward;
      return scored.reward;
    },
  };
  return new Srpo(options, {
    policy,
    decoder,
    reward,
    drawNoise: () => given.noise,
    drawIndex: () => given.m,
  });
}

/** The official training function on a FLUX, a VAE decoder and open_clip of any size. */
export async function replaySrpoStep(run: ReplayRun): Promise<void> {
  const { fixture, settings } = run;
  const json = fixture.config;
  const config = json as unknown as StepConfig;
  const options = optionsOf(config);
  const flux = new Flux(fluxConfig(json.flux), { ...settings, trainable: true });
  const vaeSizes = autoencoderConfig(json.vae);
  const vae = new Autoencoder(vaeSizes, { ...settings, parts: ["decoder"] });
  const clipSizes = openClipConfig(json.clip);
  const clip = new TwoTower(clipSizes, settings);
  try {
    const map = fluxNames(flux.config, "diffusers");
    await run.load(flux.parameters, map, "w.transformer.");
    await run.load(vae.parameters, autoencoderNames(vaeSizes, "diffusers", ["decoder"]), "w.vae.");
    await run.load(clip.parameters, openClipNames(clipSizes), "w.clip.");

    const encode = async (ids: string) => {
      const rows = await run.rows(ids);
      return noGrad(() => clip.encodeText(rows));
    };
    const text = { positive: await encode("pos_tokens"), negative: await encode("neg_tokens") };
    await run.compare("mid.pos_features", text.positive);
    await run.compare("mid.neg_features", text.negative);
    const [h, w] = fixture.shape("in.noise").slice(2) as [number, number];
    const [m] = await run.numbers("mid_timestep");
    const given: Given = {
      noise: packLatent(await run.tensor("in.noise", { ...picture, dtype: "float32" })),
      size: [h, w],
      m: m!,
      text,
      batch: {
        step: config.step,
        pass: 0,
        captions: [config.caption],
        features: {
          txt: await run.tensor("in.encoder_hidden_states"),
          pooled: await run.tensor("in.pooled_projections"),
        },
        samples: [0],
        share: 1,
      },
    };
    const seen: Seen = {};
    const srpo = wired({ flux, vae, clip }, options, given, seen);
    const clean = await compareRollout(run, srpo, given);
    await compareBranches(run, srpo, { flux, vae, clip }, map, { given, clean, seen });
    await compareUpdates(run, flux, map, config);
  } finally {
    flux.dispose();
    vae.dispose();
    clip.dispose();
  }
}

async function compareRollout(
  run: ReplayRun,
  srpo: Srpo,
  { batch, noise }: Given,
): Promise<Tensor> {
  const { rolloutSteps, rolloutGuidance, window } = srpo.options;
  const sigmas = shiftedSigmas(rolloutSteps, window.shift);
  const close = { tolerance: sigmaTolerance };
  await run.comparison.add("mid.rollout.sigmas", sigmas, close);
  await run.comparison.add("mid.sigmas_train", srpo.window.sigmas, close);
  const timesteps = Array.from(sigmas.slice(0, -1), integerTimestep);
  await run.comparison.add("mid.rollout.timesteps_int", timesteps);
  // Step by step, since the method's own rollout keeps nothing; then the method's own.
  const all: [key: string, t: Tensor][] = [];
  let i = 0;
  await denoise(
    (x, sigma) => {
      const v = srpo.parts.policy.velocity(x, [sigma], batch.features, rolloutGuidance);
      all.push([`mid.rollout.velocity${i++}`, release(v.detach())]);
      return v;
    },
    noise,
    sigmas,
    { onStep: (done, x) => void all.push([`mid.rollout.latents${done}`, x.detach()]) },
  );
  for (const [key, t] of all) {
    await run.compareIfThere(key, t);
    t.dispose();
  }
  const clean = await srpo.rollout(batch, noise);
  await run.compare("mid.latent_start", clean);
  return clean;
}

async function compareBranches(
  run: ReplayRun,
  srpo: Srpo,
  { flux }: Models,
  map: NamesMap,
  { given, clean, seen }: { given: Given; clean: Tensor; seen: Seen },
): Promise<void> {
  const { batch, noise, m } = given;
  const { comparison } = run;
  const weights = flux.parameters;
  await comparison.add("mid.offset_k", [srpo.window.stepLength(m)]);
  const losses: number[] = [];
  let sum: Tensor | undefined;
  for (const term of srpo.branchTerms(batch, clean, noise, [m])) {
    const branch = term.name as "denoise" | "inversion";
    const mid = `mid.${branch}.`;
    const plan = srpo.window[branch](m);
    const close = { tolerance: sigmaTolerance };
    await comparison.add(`${mid}sigma_from`, [plan.from], close);
    await comparison.add(`${mid}sigma_to`, [plan.to], close);
    await comparison.add(`${mid}discount_index`, [plan.discountIndex]);
    await comparison.add(`${mid}timestep_int`, [integerTimestep(plan.from)]);
    const ends = srpo.options[branch === "denoise" ? "discountPositive" : "discountNegative"];
    const k = linspace(ends[0], ends[1], srpo.options.window.length)[plan.discountIndex]!;
    await comparison.add(`${mid}k`, [k]);

    const { noisy, velocity, latent, decoded, image, pixels, features, reward } =
      seen as Required<Seen>;
    const { scalingFactor, shiftFactor } = srpo.parts.decoder;
    await run.compare(`${mid}noisy_latents`, noisy);
    await run.compare(`${mid}velocity`, velocity);
    const stepped = noGrad(() =>
      combine(noisy, velocity, { x: 1, y: Math.fround(plan.to - plan.from) }),
    );
    await run.compare(`${mid}stepped_latents`, stepped);
    const recovered = noGrad(() =>
      packLatent(affine(latent, scalingFactor, -shiftFactor * scalingFactor)),
    );
    await run.compare(`${mid}recovered_latents`, recovered);
    await run.compare(`${mid}vae_input`, latent, picture);
    await run.compare(`${mid}decoded`, decoded, picture);
    await run.compare(`${mid}image`, image, picture);
    await run.compare(`${mid}pixels`, pixels, picture);
    await run.compare(`${mid}image_features`, features);
    await run.compare(`${mid}reward`, reward);
    await run.compare(`${mid}loss`, term.loss);
    losses.push(await term.loss.item());

    const grad = `grad_${branch}.`;
    const upTo = (wanted: Tensor): Tensor => {
      const one = tensor([1], term.loss.shape, { device: term.loss.device });
      const [handle] = gradients([term.loss], [one.handle], [wanted]);
      return new Tensor(handle!);
    };
    await run.compareIfThere(`${grad}mid.pixels`, upTo(pixels), picture);
    await run.compareIfThere(`${grad}mid.image`, upTo(image), picture);
    await run.compareIfThere(`${grad}mid.decoded`, upTo(decoded), picture);
    const ofRecovered = noGrad(() => packLatent(affine(upTo(latent), 1 / scalingFactor, 0)));
    await run.compareIfThere(`${grad}mid.recovered_latents`, ofRecovered);
    await run.compareIfThere(`${grad}mid.velocity`, upTo(velocity));
    weights.zeroGradients();
    // The reference steps from the noisy latents and recovers from there, so that they also reach the
    // picture past the network; the closed form has the clean latents in their place.
    const past = 1 / (1 - plan.to);
    const ofNoisy = combine(upTo(noisy), ofRecovered, { x: 1, y: past });
    await run.compareIfThere(`${grad}mid.noisy_latents`, ofNoisy);
    await run.compareWeightGradients(weights, map, grad);
    sum =
      sum === undefined
        ? release(affine(weights.gradients!, 1, 0))
        : release(noGrad(() => add(sum!, weights.gradients!)));
  }
  weights.gradients!.copyFrom(sum!);
  await run.compareWeightGradients(weights, map);
  await comparison.add("out.losses", losses);
  await comparison.add("out.loss_sum", [losses.reduce((a, b) => a + b, 0)]);
}

/** AdamW with the summed gradients, and once more with 0.3 of them. */
async function compareUpdates(
  run: ReplayRun,
  flux: Flux,
  map: NamesMap,
  { optimizer }: StepConfig,
): Promise<void> {
  const set = flux.parameters;
  const adamw = new AdamW(set, {
    lr: optimizer.lr,
    beta1: optimizer.betas[0],
    beta2: optimizer.betas[1],
    eps: optimizer.eps,
    weightDecay: optimizer.weight_decay,
  });
  try {
    const values = async (): Promise<Uint8Array> => {
      const master = adamw.master();
      return new Uint8Array(await master.readBytes());
    };
    const before = await values();
    const compare = async (prefix: string) => {
      const after = await values();
      for (const t of map.tensors) {
        const key = `${prefix}.transformer.${t.disk}`;
        if (!run.has(key)) continue;
        const [now, then] = [after, before].map((bytes) => {
          const part = diskBytes(set, t, bytes, 4).slice();
          return new Float32Array(part.buffer, 0, sizeOf(t.shape));
        });
        await run.comparison.addChange(key, now!, then!, updateTolerance);
      }
    };
    const step = () => {
      const norm = gradNorm(set);
      adamw.step({ gradNorm: norm, maxGradNorm: optimizer.max_grad_norm });
      return norm;
    };
    await run.compare("out.grad_norm", step());
    await compare("out.updated1");
    set.gradients!.copyFrom(affine(set.gradients!, 0.3, 0));
    step();
    await compare("out.updated2");
  } finally {
    adamw.dispose();
  }
}
