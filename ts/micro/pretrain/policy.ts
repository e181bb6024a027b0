import type { FolderWriter } from "../../checkpoint/folder_writer.js";
import { gridOf, picturesOf } from "../../data/grid.js";
import type { Picture } from "../../data/png.js";
import { AutoencoderDecoder, FluxPolicy } from "../../methods/flux_policy.js";
import { downsampling } from "../../models/autoencoder/config.js";
import type { Autoencoder } from "../../models/autoencoder/model.js";
import { clipTextConfig } from "../../models/clip/config.js";
import { clipTextNames } from "../../models/clip/names.js";
import { ClipText } from "../../models/clip/text_model.js";
import { fluxConfig } from "../../models/flux/config.js";
import { Flux } from "../../models/flux/model.js";
import { fluxNames } from "../../models/flux/names.js";
import { fluxIds, fluxRope, type RopeTable } from "../../models/flux/positions.js";
import { TextEncoders } from "../../models/pipeline/text_encoders.js";
import { t5Config } from "../../models/t5/config.js";
import { T5Encoder } from "../../models/t5/model.js";
import { t5Names } from "../../models/t5/names.js";
import { tokenRows } from "../../models/token_ids.js";
import { initializeParameters } from "../../nn/init.js";
import type { NamesMap } from "../../nn/names_map.js";
import type { ParameterSet } from "../../nn/parameter_set.js";
import { tensorsToWrite } from "../../nn/save.js";
import { cast, combine, concat, mse, purposes, randn } from "../../ops/index.js";
import { shiftedSigmas } from "../../sampler/schedule.js";
import { release, tensorScope } from "../../tensor/scope.js";
import type { Tensor } from "../../tensor/tensor.js";
import type { ClipTokenizer, T5Tokenizer } from "../../text/index.js";
import { sampleImages } from "../../train/samples.js";
import { captionOf, captionTokens, withStyleWord } from "../captions.js";
import { clipConfig, t5Config as t5Json, transformerConfig } from "../configs.js";
import type { Judges } from "../judges/judge.js";
import { scenesOf } from "../scenes.js";
import { styles } from "../styles.js";
import { drawsOf, drawStages, type Draws } from "./draws.js";
import type { LatentPool } from "./latents.js";
import { policyFigures } from "./policy_figures.js";
import { side } from "./pool.js";
import type { PretrainSettings } from "./settings.js";
import type { Look, Stage, StepLoss } from "./stage.js";

/** Shares of the styles in training: photo is rare, which is the "AI look" that SRPO is to repair. */
const styleMix = [0.1, 0.3, 0.3, 0.3] as const;
const styledCaptions = 0.1;
const emptyCaptions = 0.1;
/** Noise levels: logit-normal of this deviation, shifted; some uniform. */
const sigmaDeviation = 1.1;
const sigmaShift = 1.8;
const uniformSigmas = 0.1;
/** The guidance input has no effect on the data: drawn, so that the model learns to take any. */
const guidanceRange = [1, 4] as const;
/** Pictures of a look at the policy and of the last one, and Euler steps of each. */
const looked = 64;
const lookedLast = 256;
const lookSteps = 20;

export interface PolicyParts {
  training: LatentPool;
  /** Frozen. */
  autoencoder: Autoencoder;
  judges: Judges;
  clipTokenizer: ClipTokenizer;
  t5Tokenizer: T5Tokenizer;
}

/**
 * What starts at zero, so that every block begins as the identity and the velocity as nothing: after 60
 * steps a loss of 0.20 where normal numbers gave 0.58.
 *
 * @see Peebles & Xie 2023, arXiv:2212.09748, sec. 3.2: adaLN-Zero
 */
const startsAtZero = /(?:_mod|\.modulation)\.lin\.weight$|^final_layer\./;

/** What a training sample shows and is told. */
interface Sample {
  place: number;
  caption: string;
  sigma: number;
  guidance: number;
}

function drawSigma(draws: Draws): number {
  if (draws.uniform() < uniformSigmas) return draws.uniform();
  const t = 1 / (1 + Math.exp(-sigmaDeviation * draws.normal()));
  return Math.fround((sigmaShift * t) / (1 + (sigmaShift - 1) * t));
}

function drawStyle(draws: Draws): number {
  const at = draws.uniform();
  let end = 0;
  for (const [style, share] of styleMix.entries()) {
    end += share;
    if (at < end) return style;
  }
  return styles.length - 1;
}

/** The transformer and both its text encoders, by flow matching: v = noise - clean at (1 - s) clean + s noise. */
export class PolicyStage implements Stage {
  readonly name = "policy";
  readonly settings;
  readonly models: Readonly<Record<string, ParameterSet>>;
  readonly #flux: Flux;
  readonly #clip: ClipText;
  readonly #t5: T5Encoder;
  readonly #clipJson;
  readonly #t5Json;
  readonly #seed: bigint;
  readonly #grid: number;
  readonly #rope: RopeTable;

  constructor(
    settings: PretrainSettings,
    readonly parts: PolicyParts,
  ) {
    this.settings = settings.policy;
    this.#seed = settings.seed;
    const options = { dtype: settings.policy.dtype, trainable: true } as const;
    this.#clipJson = clipConfig(parts.clipTokenizer.vocabularySize, captionTokens);
    this.#t5Json = t5Json(parts.t5Tokenizer.vocabularySize);
    this.#flux = new Flux(fluxConfig(transformerConfig), options);
    this.#clip = new ClipText(clipTextConfig(this.#clipJson), options);
    this.#t5 = new T5Encoder(t5Config(this.#t5Json), options);
    this.models = {
      transformer: this.#flux.parameters,
      text_encoder: this.#clip.parameters,
      text_encoder_2: this.#t5.parameters,
    };
    for (const set of Object.values(this.models)) initializeParameters(set, settings.seed);
    for (const { parameter } of this.#flux.parameters.ranges)
      if (startsAtZero.test(parameter.name)) this.#flux.parameters.get(parameter.name).zero();
    this.#grid = side / downsampling(parts.autoencoder.config) / 2;
    const ids = fluxIds({ textLength: captionTokens, height: this.#grid, width: this.#grid });
    this.#rope = fluxRope(this.#flux.config, ids);
    release([this.#rope.cos, this.#rope.sin]);
  }

  #sample(step: number, sample: number): Sample {
    const { training } = this.parts;
    const draws = drawsOf(this.#seed, { stage: drawStages.policy, step, sample });
    const scene = draws.below(training.scenes.length);
    const style = drawStyle(draws);
    const { plain, words } = captionOf(training.scenes[scene]!, draws.below(65_536));
    const chance = draws.uniform();
    const caption =
      chance < emptyCaptions
        ? ""
        : chance < emptyCaptions + (1 - emptyCaptions) * styledCaptions
          ? withStyleWord(words[styles[style]!], plain)
          : plain;
    const [least, most] = guidanceRange;
    return {
      place: scene * styles.length + style,
      caption,
      sigma: drawSigma(draws),
      guidance: least + (most - least) * draws.uniform(),
    };
  }

  loss(step: number): StepLoss {
    const { training, clipTokenizer, t5Tokenizer } = this.parts;
    const numbers = Array.from({ length: this.settings.batch }, (_, i) => i);
    const samples = numbers.map((sample) => this.#sample(step, sample));
    const clean = training.batch(samples.map(({ place }) => place));
    const noise = randn(clean.shape, {
      seed: this.#seed,
      purpose: purposes.pretrainNoise,
      step,
      sample: numbers.map((sample) => drawStages.policy * 65_536 + sample),
    });
    const sigma = samples.map((one) => one.sigma);
    const noisy = combine(clean, noise, { x: sigma.map((s) => 1 - s), y: sigma });
    const captions = samples.map(({ caption }) => caption);
    const clipIds = clipTokenizer.encodeBatch(captions);
    const t5Ids = t5Tokenizer.encodeBatch(captions);
    const velocity = this.#flux.forward({
      img: noisy,
      txt: this.#t5.encode(tokenRows(t5Ids.ids, t5Ids.shape[1])),
      pooled: this.#clip.encode(tokenRows(clipIds.ids, clipIds.shape[1])).pooled,
      sigma,
      guidance: samples.map(({ guidance }) => guidance),
      pe: this.#rope,
    });
    const target = combine(noise, clean, { x: 1, y: -1 });
    return { loss: mse(cast(velocity, "float32"), target), metrics: {} };
  }

  /** Pictures of captions from noise of their own, always the same, [B, 64, 64, 3] in [0, 1]. */
  async #pictures(captions: readonly string[], first: number): Promise<Tensor> {
    const { autoencoder, clipTokenizer, t5Tokenizer } = this.parts;
    using scope = tensorScope();
    const grid = { height: this.#grid, width: this.#grid };
    const policy = new FluxPolicy(this.#flux, grid, { timesteps: "exact" });
    const decoder = new AutoencoderDecoder(autoencoder, 2 * this.#grid, 2 * this.#grid);
    const features = new TextEncoders(this.#clip, clipTokenizer, this.#t5, t5Tokenizer).encode(
      captions,
    );
    const noise = randn([captions.length, ...this.parts.training.shape], {
      seed: this.#seed,
      purpose: purposes.sampleNoise,
      step: 0,
      sample: captions.map((_, i) => first + i),
    });
    const images = await sampleImages(policy, decoder, features, noise, {
      sigmas: shiftedSigmas(lookSteps, 3),
      guidance: 1,
    });
    return scope.keep(cast(images, "float32"));
  }

  async look({ last }: { last: boolean }): Promise<Look> {
    using scope = tensorScope();
    void scope;
    const scenes = scenesOf("validation", 0, last ? lookedLast : looked);
    const asked = scenes.map((scene) => captionOf(scene));
    const drawn: Tensor[] = [];
    for (let first = 0; first < scenes.length; first += looked)
      drawn.push(
        await this.#pictures(
          asked.slice(first, first + looked).map(({ plain }) => plain),
          first,
        ),
      );
    const pictures = concat(drawn, 0);
    const figures = await policyFigures(pictures, scenes, this.parts.judges);
    // The same scenes and noise under a control word of each style, a style a row.
    const few = asked.slice(0, 8);
    const rows: Picture[] = [];
    for (const style of styles)
      rows.push(
        ...(await picturesOf(
          await this.#pictures(
            few.map(({ plain, words }) => withStyleWord(words[style], plain)),
            0,
          ),
        )),
      );
    return {
      figures,
      pictures: {
        plain: gridOf((await picturesOf(pictures)).slice(0, looked), 8),
        styles: gridOf(rows, few.length),
      },
    };
  }

  async write(folder: FolderWriter): Promise<void> {
    const parts: [name: string, config: object, set: ParameterSet, names: NamesMap][] = [
      [
        "transformer",
        transformerConfig,
        this.#flux.parameters,
        fluxNames(this.#flux.config, "diffusers"),
      ],
      ["text_encoder", this.#clipJson, this.#clip.parameters, clipTextNames(this.#clip.config)],
      ["text_encoder_2", this.#t5Json, this.#t5.parameters, t5Names(this.#t5.config)],
    ];
    for (const [name, config, set, names] of parts) {
      const base = name === "transformer" ? "diffusion_pytorch_model" : "model";
      await folder.json(`${name}/config.json`, config);
      await folder.sharded(`${name}/${base}`, tensorsToWrite(set, names, { dtype: "bfloat16" }), {
        metadata: { format: "pt" },
      });
    }
  }

  dispose(): void {
    for (const part of [this.#rope.cos, this.#rope.sin, this.#flux, this.#clip, this.#t5])
      part.dispose();
    const { autoencoder, judges } = this.parts;
    for (const part of [autoencoder, judges.style, judges.attributes]) part.dispose();
  }
}
