import type { FolderWriter } from "../../checkpoint/folder_writer.js";
import { noGrad } from "../../autograd/tape.js";
import { gridOf, picturesOf } from "../../data/grid.js";
import { autoencoderConfig } from "../../models/autoencoder/config.js";
import { Autoencoder } from "../../models/autoencoder/model.js";
import { autoencoderNames } from "../../models/autoencoder/names.js";
import { initializeParameters } from "../../nn/init.js";
import { tensorsToWrite } from "../../nn/save.js";
import { add, affine, cast, clamp, purposes, randn, scale, sub } from "../../ops/index.js";
import { tensorScope } from "../../tensor/scope.js";
import type { Tensor } from "../../tensor/tensor.js";
import { vaeConfig } from "../configs.js";
import { styles } from "../styles.js";
import { drawsOf, drawStages } from "./draws.js";
import { divergence, gradientSquare, meanAbsolute, meanSquare } from "./losses.js";
import type { PicturePool } from "./pool.js";
import type { PretrainSettings } from "./settings.js";
import type { Look, Stage, StepLoss } from "./stage.js";

/** Pictures of one forward where nothing is learned. */
export const eachForward = 32;
/** Scenes of a look; the last one is at all that there are. */
const lookedScenes = 100;
/** Scenes that the picture of reconstructions shows. */
const shown = 6;

/** Pictures in [0, 1] through encoder and decoder, by the mean of the posterior; in the caller's scope. */
export function reconstruct(model: Autoencoder, pictures: Tensor): Tensor {
  using scope = tensorScope();
  return scope.keep(
    noGrad(() => {
      const { mean } = model.encode(affine(pictures, 2, -1));
      return clamp(affine(cast(model.decode(mean), "float32"), 0.5, 0.5), 0, 1);
    }),
  );
}

/** PSNR in dB of pictures in [0, 1], one each. */
export async function psnrOf(a: Tensor, b: Tensor): Promise<number[]> {
  const [x, y] = [await a.read(), await b.read()];
  const size = x.length / a.dim(0);
  return Array.from({ length: a.dim(0) }, (_, i) => {
    let sum = 0;
    for (let j = i * size; j < (i + 1) * size; ++j) sum += (x[j]! - y[j]!) ** 2;
    return -10 * Math.log10(Math.max(sum / size, 1e-10));
  });
}

/** The autoencoder, by reconstruction of drawn pictures in all styles. */
export class AutoencoderStage implements Stage {
  readonly name = "autoencoder";
  readonly settings;
  readonly models;
  readonly #model: Autoencoder;
  readonly #seed: bigint;

  constructor(
    settings: PretrainSettings,
    readonly training: PicturePool,
    readonly validation: PicturePool,
  ) {
    this.settings = settings.autoencoder;
    this.#seed = settings.seed;
    const { dtype } = settings.autoencoder;
    this.#model = new Autoencoder(autoencoderConfig(vaeConfig), { dtype, trainable: true });
    initializeParameters(this.#model.parameters, settings.seed);
    this.models = { vae: this.#model.parameters };
  }

  loss(step: number): StepLoss {
    const model = this.#model;
    const samples = Array.from({ length: this.settings.batch }, (_, i) => i);
    const places = samples.map((sample) =>
      drawsOf(this.#seed, { stage: drawStages.autoencoder, step, sample }).below(
        this.training.size,
      ),
    );
    const x = this.training.batch(places, { low: -1 });
    const posterior = model.encode(x);
    const noise = randn(posterior.mean.shape, {
      seed: this.#seed,
      purpose: purposes.pretrainNoise,
      step,
      sample: samples,
      dtype: posterior.mean.dtype,
    });
    const d = sub(cast(model.decode(model.sample(posterior, noise)), "float32"), x);
    const [square, absolute] = [meanSquare(d), meanAbsolute(d)];
    const [gradient, kl] = [gradientSquare(d), divergence(posterior)];
    const loss = add(add(square, scale(absolute, 0.1)), add(scale(gradient, 0.1), scale(kl, 1e-4)));
    return { loss, metrics: { square, absolute, gradient, kl } };
  }

  async look({ last }: { last: boolean }): Promise<Look> {
    const { validation } = this;
    const scenes = Math.min(last ? Infinity : lookedScenes, validation.scenes.length);
    const size = scenes * styles.length;
    const sums = styles.map(() => 0);
    for (let first = 0; first < size; first += eachForward) {
      using scope = tensorScope();
      void scope;
      const count = Math.min(eachForward, size - first);
      const places = Array.from({ length: count }, (_, i) => first + i);
      const pictures = validation.batch(places);
      const psnr = await psnrOf(reconstruct(this.#model, pictures), pictures);
      psnr.forEach((value, i) => (sums[(first + i) % styles.length]! += value));
    }
    const each = sums.map((sum) => sum / scenes);
    const figures = {
      psnr: each.reduce((sum, value) => sum + value, 0) / styles.length,
      ...Object.fromEntries(styles.map((style, i) => [`psnr/${style}`, each[i]!])),
    };
    return { figures, pictures: { reconstructions: await this.#pictures() } };
  }

  /** A scene a pair of columns: drawn, reconstructed; a style a row. */
  async #pictures() {
    using scope = tensorScope();
    void scope;
    const count = Math.min(shown, this.validation.scenes.length);
    const places = styles.flatMap((_, style) =>
      Array.from({ length: count }, (_s, scene) => scene * styles.length + style),
    );
    const drawn = this.validation.batch(places);
    const [a, b] = [await picturesOf(drawn), await picturesOf(reconstruct(this.#model, drawn))];
    return gridOf(
      a.flatMap((picture, i) => [picture, b[i]!]),
      2 * count,
    );
  }

  /** The latents' mean and deviation over training pictures: what makes them like the flow's noise. */
  async #statistics(): Promise<{ shift: number; scaling: number }> {
    const count = Math.min(1024, this.training.size);
    let [sum, squares, n] = [0, 0, 0];
    for (let first = 0; first < count; first += eachForward) {
      using scope = tensorScope();
      void scope;
      const places = Array.from({ length: Math.min(eachForward, count - first) }, (_, i) =>
        // All styles and scenes from the whole of the pool.
        Math.floor(((first + i) * this.training.size) / count),
      );
      const { mean } = noGrad(() => this.#model.encode(this.training.batch(places, { low: -1 })));
      for (const value of await mean.read()) {
        sum += value;
        squares += value * value;
        n += 1;
      }
    }
    const shift = sum / n;
    return { shift, scaling: 1 / Math.sqrt(squares / n - shift * shift) };
  }

  async write(folder: FolderWriter): Promise<void> {
    const { shift, scaling } = await this.#statistics();
    const digits = (value: number) => Number(value.toPrecision(6));
    await folder.json("vae/config.json", {
      ...vaeConfig,
      scaling_factor: digits(scaling),
      shift_factor: digits(shift),
    });
    const names = autoencoderNames(this.#model.config, "diffusers");
    await folder.sharded(
      "vae/diffusion_pytorch_model",
      tensorsToWrite(this.#model.parameters, names, { dtype: "bfloat16" }),
      { metadata: { format: "pt" } },
    );
  }

  dispose(): void {
    this.#model.dispose();
  }
}

/** Half of a pool's pictures, those whose scene and style are of different parity, through the autoencoder. */
export async function reconstructHalf(
  pool: PicturePool,
  model: Autoencoder,
  { onDone, signal }: { onDone?: (done: number) => void; signal?: AbortSignal } = {},
): Promise<void> {
  const half = Array.from({ length: pool.size }, (_, place) => place).filter((place) =>
    isReconstruction(place),
  );
  for (let first = 0; first < half.length; first += eachForward) {
    signal?.throwIfAborted();
    using scope = tensorScope();
    void scope;
    const places = half.slice(first, first + eachForward);
    pool.replace(places, await reconstruct(model, pool.batch(places)).read());
    onDone?.(first + places.length);
  }
}

export function isReconstruction(place: number): boolean {
  return (Math.floor(place / styles.length) + place) % 2 === 1;
}
