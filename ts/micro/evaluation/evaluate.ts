import { picturesOf } from "../../data/grid.js";
import type { Picture } from "../../data/png.js";
import type { Policy } from "../../methods/method.js";
import { SrpoError } from "../../native/error.js";
import { cast, purposes, randn } from "../../ops/index.js";
import { shiftedSigmas } from "../../sampler/schedule.js";
import { tensorScope } from "../../tensor/scope.js";
import type { Tensor } from "../../tensor/tensor.js";
import { sampleImages } from "../../train/samples.js";
import { captionOf } from "../captions.js";
import { reconstruct } from "../pretrain/autoencoder.js";
import { side } from "../pretrain/pool.js";
import { render } from "../render.js";
import { scenesOf, splits, type Split } from "../scenes.js";
import type { Style } from "../styles.js";
import { figuresOf, type Figures } from "./figures.js";
import { judgePictures, type Asked, type Judged } from "./judged.js";
import type { MicroWorld } from "./world.js";

export interface EvaluateOptions {
  /** `tuning` to choose hyperparameters by, `reporting` for results; default reporting. */
  split?: Split;
  /** Scenes of the split, each one prompt, from `first` (default 0) on; default 64. */
  prompts?: number;
  first?: number;
  /** Pictures of each prompt; default 4. */
  seeds?: number;
  /** Euler steps; default 20. */
  steps?: number;
  /** Guidance input of the policy; default 1. */
  guidance?: number;
  /** Of the noise that pictures start from; default 0. */
  seed?: bigint;
  signal?: AbortSignal;
  /** Told how many Euler steps of how many are done. */
  onProgress?: (done: number, total: number) => void;
}

export interface Evaluation {
  figures: Figures;
  /** A prompt's pictures beside one another: `prompt * seeds + seed`. */
  pictures: Picture[];
  /** In the same order. */
  judged: Judged[];
  /** Wall-clock time. */
  seconds: number;
}

/** Pictures of one forward. Fixed: the figures depend on nothing but what they are figures of. */
const each = 64;
const shift = 3;
/** Noise of one prompt's pictures is numbered from its scene's number times this. */
const mostSeeds = 256;

/** The prompts of a split: a scene each, and its plain caption. */
export function promptsOf(split: Split, count: number, first = 0): Asked[] {
  return scenesOf(split, first, count).map((scene) => ({ scene, caption: captionOf(scene).plain }));
}

/** Judges pictures that are made a part at a time, from place `first` on. */
async function judgeAll(
  world: MicroWorld,
  asked: readonly Asked[],
  draw: (part: readonly Asked[], first: number) => Promise<Tensor>,
): Promise<Evaluation> {
  const started = performance.now();
  const pictures: Picture[] = [];
  const judged: Judged[] = [];
  for (let first = 0; first < asked.length; first += each) {
    using scope = tensorScope();
    void scope;
    const part = asked.slice(first, first + each);
    const images = await draw(part, first);
    judged.push(...(await judgePictures(world, images, part)));
    pictures.push(...(await picturesOf(images)));
  }
  const seconds = (performance.now() - started) / 1000;
  return { figures: figuresOf(judged, world.limits), pictures, judged, seconds };
}

/**
 * Draws pictures of a split's prompts by a policy and judges them. The noise is named by seed, split, scene and
 * picture, so that it is the same for every policy; the figures are the same on any number of threads.
 *
 * @param policy - the world's own or a checkpoint's (`world.openPolicy`), or one in training (`world.policyOf`)
 * @throws SrpoError ERR_RANGE for prompts, seeds or steps that are no counts; the signal's reason if it comes
 */
export async function evaluate(
  world: MicroWorld,
  policy: Policy,
  {
    split = "reporting",
    prompts = 64,
    first: firstScene = 0,
    seeds = 4,
    steps = 20,
    guidance = 1,
    seed = 0n,
    signal,
    onProgress,
  }: EvaluateOptions = {},
): Promise<Evaluation> {
  for (const [name, value] of Object.entries({ prompts, seeds, steps }))
    if (!Number.isInteger(value) || value < 1 || (name === "seeds" && value > mostSeeds))
      throw new SrpoError(
        "ERR_RANGE",
        `evaluate: ${name}: expected a whole number above 0${name === "seeds" ? ` up to ${mostSeeds}` : ""}, got ${value}`,
      );
  const asked = promptsOf(split, prompts, firstScene).flatMap((one) =>
    Array.from({ length: seeds }, () => one),
  );
  const total = steps * Math.ceil(asked.length / each);
  let done = 0;
  return judgeAll(world, asked, async (part, first) => {
    signal?.throwIfAborted();
    using scope = tensorScope();
    const noise = randn([part.length, ...world.latentShape], {
      seed,
      purpose: purposes.sampleNoise,
      // Step 0 is that of a run's own sample grids.
      step: 1 + splits[split],
      sample: part.map(({ scene }, i) => scene.number * mostSeeds + ((first + i) % seeds)),
    });
    const images = await sampleImages(
      policy,
      world.decoder,
      world.text.encode(part.map(({ caption }) => caption)),
      noise,
      {
        sigmas: shiftedSigmas(steps, shift),
        guidance,
        onStep: () => {
          signal?.throwIfAborted();
          onProgress?.(++done, total);
        },
      },
    );
    return scope.keep(cast(images, "float32"));
  });
}

/** What the figures are of the world's own pictures: a split's scenes in a style, drawn and reconstructed. */
export async function evaluateRenders(
  world: MicroWorld,
  style: Style,
  { split = "reporting", prompts = 64, first = 0 }: EvaluateOptions = {},
): Promise<Evaluation> {
  return judgeAll(world, promptsOf(split, prompts, first), (part) => {
    const drawn = render(
      part.map(({ scene }) => scene),
      style,
      { size: side },
    );
    return Promise.resolve(reconstruct(world.autoencoder, drawn));
  });
}
