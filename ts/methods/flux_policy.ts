import type { LatentDecoder, Policy, PromptFeatures } from "./method.js";
import type { Autoencoder } from "../models/autoencoder/model.js";
import { isRecording } from "../autograd/tape.js";
import type { Flux } from "../models/flux/model.js";
import { FluxAhead } from "../models/flux/modulation.js";
import { fluxIds, fluxRope, type RopeTable } from "../models/flux/positions.js";
import { range } from "../native/ranges.js";
import { timestepInput, type TimestepRounding } from "../sampler/timestep.js";
import { release } from "../tensor/scope.js";
import type { Tensor } from "../tensor/tensor.js";

/** The grid of packed tokens of a picture. */
export interface TokenGrid {
  height: number;
  width: number;
}

/** A FLUX transformer at one picture size, as methods call it. */
export class FluxPolicy implements Policy {
  #rope: RopeTable | undefined;
  #ropeText = -1;
  #ahead: { known: FluxAhead; features: PromptFeatures; guidance: number } | undefined;
  /** Pictures that went through the transformer so far, and those of them that backward will go through. */
  readonly passes: { forwards: number; backwards: number };

  constructor(
    readonly model: Flux,
    readonly grid: TokenGrid,
    readonly options: {
      timesteps: TimestepRounding;
      /** Blocks that run again in backward: all, none or the first so many. */
      recompute?: boolean | number;
      /** Another policy's count, which this one's calls are part of. */
      passes?: FluxPolicy["passes"];
    },
  ) {
    this.passes = options.passes ?? { forwards: 0, backwards: 0 };
  }

  velocity(
    latents: Tensor,
    sigmas: readonly number[],
    features: PromptFeatures,
    guidance: number,
  ): Tensor {
    const { timesteps, recompute = false } = this.options;
    const ahead = this.#aheadOf(sigmas, features, guidance);
    const inputs = {
      img: latents,
      txt: features.txt,
      pooled: features.pooled,
      sigma: sigmas.map((sigma) => timestepInput(sigma, timesteps)),
      guidance: this.model.config.guidance ? sigmas.map(() => guidance) : undefined,
      pe: this.#ropeOf(features.txt.dim(1)),
    };
    const roundTimestep = this.#rounding;
    const velocity = range("transformer", () =>
      this.model.forward(inputs, { recompute, roundTimestep, ahead }),
    );
    this.passes.forwards += sigmas.length;
    if (velocity.requiresGrad) this.passes.backwards += sigmas.length;
    return velocity;
  }

  get #rounding(): "exact" | "bfloat16" {
    return this.options.timesteps === "reference" ? "bfloat16" : "exact";
  }

  /** Modulations and the projected text, made once for all of a rollout's steps. */
  ahead(sigmas: readonly number[], features: PromptFeatures, guidance: number): Disposable {
    const { timesteps } = this.options;
    const known = new FluxAhead(
      this.model,
      {
        ...features,
        sigmas: sigmas.map((sigma) => timestepInput(sigma, timesteps)),
        guidance: this.model.config.guidance ? guidance : undefined,
      },
      this.#rounding,
    );
    this.#ahead = { known, features, guidance };
    return {
      [Symbol.dispose]: () => {
        if (this.#ahead?.known === known) this.#ahead = undefined;
        known.dispose();
      },
    };
  }

  #aheadOf(sigmas: readonly number[], features: PromptFeatures, guidance: number) {
    const [sigma] = sigmas;
    const ahead = this.#ahead;
    if (ahead === undefined || sigma === undefined || isRecording()) return undefined;
    const { known } = ahead;
    const same =
      ahead.features.txt === features.txt &&
      ahead.features.pooled === features.pooled &&
      ahead.guidance === guidance &&
      sigmas.every((each) => each === sigma);
    const level = same ? known.levelOf(timestepInput(sigma, this.options.timesteps)) : -1;
    return level < 0 ? undefined : { txt: known.txt, modulation: known.modulation(level) };
  }

  /** The same for every step, so made once a text length. */
  #ropeOf(textLength: number): RopeTable {
    if (this.#rope === undefined || this.#ropeText !== textLength) {
      this.disposeTables();
      const ids = fluxIds({ textLength, ...this.grid });
      this.#rope = fluxRope(this.model.config, ids, { device: this.model.parameters.device });
      release([this.#rope.cos, this.#rope.sin]);
      this.#ropeText = textLength;
    }
    return this.#rope;
  }

  /** Frees what it made of its own; the model, which may be another's, stays. */
  disposeTables(): void {
    this.#rope?.cos.dispose();
    this.#rope?.sin.dispose();
    this.#rope = undefined;
  }

  dispose(): void {
    this.disposeTables();
    this.model.dispose();
  }
}

/** An autoencoder's decoder at one picture size, as methods call it. */
export class AutoencoderDecoder implements LatentDecoder {
  readonly scalingFactor: number;
  readonly shiftFactor: number;

  /** @param height - of the latents; `width` likewise */
  constructor(
    readonly model: Autoencoder,
    readonly height: number,
    readonly width: number,
    readonly options: { recompute?: boolean } = {},
  ) {
    this.scalingFactor = model.config.scalingFactor;
    this.shiftFactor = model.config.shiftFactor;
  }

  decode(latent: Tensor): Tensor {
    const { recompute = false } = this.options;
    return range("vae decode", () => this.model.decode(latent, { recompute }));
  }
}
