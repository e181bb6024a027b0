// What a run's options stand for: models on the device, data, and the method with its parts.
import { existsSync } from "node:fs";
import path from "node:path";
import { noGrad } from "../autograd/tape.js";
import { listImages, loadImages } from "../data/images.js";
import { draws } from "../methods/draws.js";
import type { Evaluator } from "./evaluator.js";
import { RewardEvaluator } from "./reward_evaluator.js";
import { flagOf } from "./schema.js";
import { AutoencoderDecoder, FluxPolicy } from "../methods/flux_policy.js";
import { groupDraws } from "../methods/grpo/draws.js";
import type { Method, Policy } from "../methods/method.js";
import { downsampling } from "../models/autoencoder/config.js";
import type { Autoencoder } from "../models/autoencoder/model.js";
import type { Flux } from "../models/flux/model.js";
import { rewardKindAt } from "../models/open_scores.js";
import { requireParts } from "../models/pipeline/folder.js";
import { loadAutoencoder, loadTransformer } from "../models/pipeline/load.js";
import { baseFolder, type ModelPlaces } from "../models/pipeline/places.js";
import { native } from "../native/binding.js";
import { SrpoError } from "../native/error.js";
import { packageVersion } from "../native/load.js";
import { cast, concat, packLatent, purposes, randn } from "../ops/index.js";
import { isBlockMatrix } from "../models/flux/parameters.js";
import type { Lora } from "../nn/lora.js";
import type { ParameterSet } from "../nn/parameter_set.js";
import { shardMultiple } from "../optim/sharding.js";
import { openReward } from "../rewards/open_reward.js";
import { buildEmulated } from "../native/emulated.js";
import { hasDevice, type Device } from "../tensor/device.js";
import { release, tidy } from "../tensor/scope.js";
import type { Tensor } from "../tensor/tensor.js";
import type { TrainConfig } from "./config.js";
import { checkLayout, gradientOptions } from "./layout.js";
import { loading } from "./loading.js";
import { checkMethod, checkReward, methodOf, needsReference } from "./methods.js";
import { checkLora, newLora } from "./lora.js";
import { loadReference, WithoutLora } from "./reference.js";
import { recomputedBlocks } from "./recompute.js";
import { loadPromptData, type PromptData } from "./prompt_data.js";

export interface Setup {
  /** Where the model and what belongs to it lie. */
  place: ModelPlaces;
  model: Flux;
  /** The adapter that is trained in the place of all weights; undefined without one. */
  lora: Lora | undefined;
  /** What is trained: the model's weights, or the adapter's. */
  trained: ParameterSet;
  policy: FluxPolicy;
  decoder: AutoencoderDecoder;
  data: PromptData;
  /** Of the sample grids. */
  sampleData: PromptData;
  /** A second reward, on prompts of its own; undefined without one, and where another rank evaluates. */
  evaluator: Evaluator | undefined;
  method: Method;
  /** Clean packed latents of real pictures, by place; undefined online. */
  clean: ((places: readonly number[]) => Promise<Tensor>) | undefined;
  version: string;
  /** Packed tokens and their channels. */
  tokens: number;
  channels: number;
  dispose(): void;
}

/** " (found: no NVIDIA driver)" */
function noted(device: string): string {
  const note = /^(cuda:\d+|emulated)$/.test(device) ? native.deviceNote(device) : "";
  return note === "" ? "" : ` (${note.replaceAll("\n", "; ")})`;
}

/**
 * The device of that name; the emulated one is built first where it was not yet.
 *
 * @throws SrpoError ERR_DEVICE for a device that is not there, ERR_ADDON if it cannot be built
 */
export function requireDevice(device: string): Device {
  if (device === "emulated") buildEmulated();
  if (!hasDevice(device as Device))
    throw new SrpoError(
      "ERR_DEVICE",
      `device: expected one that is there, got ${device}${noted(device)}; "srpo-native doctor" lists them`,
    );
  return device as Device;
}

function requireFolder(option: "reward" | "evalReward", folder: string): void {
  if (!existsSync(folder))
    throw new SrpoError(
      "ERR_CONFIG",
      `${option}: expected a file or a folder, got none at ${folder}; name one by --${flagOf(option)}`,
    );
}

function requireSize(config: TrainConfig, model: Flux, vae: Autoencoder): { h: number; w: number } {
  const factor = downsampling(vae.config);
  for (const side of ["height", "width"] as const)
    if (config[side] % (2 * factor) !== 0)
      throw new SrpoError(
        "ERR_CONFIG",
        `${side}: expected a multiple of ${2 * factor}, got ${config[side]}`,
      );
  const channels = 4 * vae.config.latentChannels;
  if (model.config.inChannels !== channels)
    throw new SrpoError(
      "ERR_CONFIG",
      `model: expected a transformer of ${channels} channels for this vae, got ${model.config.inChannels}`,
    );
  return { h: config.height / factor, w: config.width / factor };
}

/** The offline data: pictures and captions, encoded once a picture when first used. */
function offline(
  config: TrainConfig,
  vae: Autoencoder,
  dtype: "float32" | "bfloat16",
  device: Device,
): { captions: string[]; clean: NonNullable<Setup["clean"]>; dispose: () => void } {
  const images = listImages(config.images!);
  const known = new Map<number, Tensor>();
  const latentOf = async (place: number): Promise<Tensor> => {
    const cached = known.get(place);
    if (cached !== undefined) return cached;
    const { height, width } = config;
    const picture = await loadImages([images[place]!.file], { height, width, dtype, device });
    const latent = noGrad(() =>
      tidy(() => {
        const moments = vae.encode(picture);
        const noise = randn(moments.mean.shape, {
          seed: BigInt(config.seed),
          purpose: purposes.directNoise,
          step: 0,
          sample: place,
          dtype,
          device,
        });
        return packLatent(cast(vae.toNetwork(vae.sample(moments, noise)), "float32"));
      }),
    );
    picture.dispose();
    known.set(place, release(latent));
    return latent;
  };
  return {
    captions: images.map(({ caption }) => caption),
    clean: async (places) => {
      const rows: Tensor[] = [];
      for (const place of places) rows.push(await latentOf(place));
      return noGrad(() => concat(rows, 0));
    },
    dispose: () => {
      for (const latent of known.values()) latent.dispose();
    },
  };
}

/**
 * Loads everything that a run needs and checks that it fits together, before anything is written.
 *
 * @param ranks - that what is trained is cut for, and which of them this is: the first one evaluates
 * @throws SrpoError ERR_CONFIG, ERR_CHECKPOINT, ERR_DEVICE
 */
export async function loadSetup(
  config: TrainConfig,
  { rank, size }: { rank: number; size: number } = { rank: 0, size: 1 },
): Promise<Setup> {
  checkMethod(config);
  checkLora(config);
  checkLayout(config, size);
  const place = { model: config.model!, base: config.base };
  const root = baseFolder(place);
  const device = requireDevice(config.device);
  native.cpuSetThreads(config.threads);
  const dtype = config.precision === "bf16" ? "bfloat16" : "float32";
  const frozen = { dtype, device } as const;
  if (config.images !== undefined && config.prompts !== undefined)
    throw new SrpoError(
      "ERR_CONFIG",
      "prompts: expected none beside images, whose captions they are, got both",
    );
  requireParts(root, ["vae"]); // a checkpoint brings it along
  const rewardFolder = config.reward ?? path.join(root, "reward");
  requireFolder("reward", rewardFolder);
  if (config.evalReward !== undefined) requireFolder("evalReward", config.evalReward);
  checkReward(config, rewardKindAt(rewardFolder));

  const owned: { dispose(): void }[] = [];
  const own = <T extends { dispose(): void }>(part: T): T => {
    owned.push(part);
    return part;
  };
  const dispose = () => {
    for (const part of owned.toReversed()) part.dispose();
  };
  try {
    const all = config.loraRank === 0;
    const shared = {
      multiple: shardMultiple(size),
      passingGradients: config.zero === 2 && size > 1,
    };
    const model = own(
      await loadTransformer(place, {
        ...frozen,
        ...(all && {
          trainable: true,
          ...shared,
          squares: size === 1,
          ...gradientOptions(config),
        }),
        ...(config.baseDtype === "fp8" && { coded: isBlockMatrix }),
        ...loading("transformer"),
      }),
    );
    const lora = all ? undefined : own(newLora(config, model, shared));
    const sides =
      config.images === undefined ? (["decoder"] as const) : (["encoder", "decoder"] as const);
    const vae = own(await loadAutoencoder(place, { ...frozen, parts: sides }));
    const { h, w } = requireSize(config, model, vae);
    const reward = own(
      await openReward(rewardFolder, {
        ...frozen,
        vocabulary: path.join(root, "tokenizer"),
      }),
    );
    const real = config.images === undefined ? undefined : own(offline(config, vae, dtype, device));
    const { evalData, ...prompts } = await loadPromptData(config, {
      captions: real?.captions,
      widths: { txt: model.config.contextSize, pooled: model.config.vectorSize },
      own,
      ...frozen,
    });
    const grid = { height: h / 2, width: w / 2 };
    const { timesteps } = config;
    const { depth, depthSingleBlocks } = model.config;
    const recompute = recomputedBlocks(config.recompute, depth + depthSingleBlocks);
    const policy = new FluxPolicy(model, grid, { timesteps, recompute });
    let reference: Policy | undefined;
    if (needsReference(config))
      reference =
        lora === undefined
          ? own(
              new FluxPolicy(await loadReference(config, frozen), grid, {
                timesteps,
                passes: policy.passes,
              }),
            )
          : new WithoutLora(policy, lora);
    const decoder = new AutoencoderDecoder(vae, h, w, { recompute: config.recomputeVae });
    const [tokens, channels] = [(h * w) / 4, model.config.inChannels];
    const subject = evalData && { data: evalData, decoder, tokens, channels };
    const evaluator =
      subject !== undefined && rank === 0
        ? own(await RewardEvaluator.open(config, subject, frozen))
        : undefined;
    const drawn = { seed: BigInt(config.seed), tokens, channels, device };
    const parts = {
      policy,
      decoder,
      reward,
      reference,
      ...draws({ ...drawn, noise: config.noise }),
      groups: groupDraws(drawn),
    };
    return {
      place,
      model,
      lora,
      trained: lora?.parameters ?? model.parameters,
      policy,
      decoder,
      ...prompts,
      evaluator,
      method: methodOf(config, parts),
      clean: real?.clean,
      version: packageVersion,
      tokens,
      channels,
      dispose,
    };
  } catch (error) {
    dispose();
    throw error;
  }
}
