import type { LatentDecoder, Policy, PromptFeatures } from "./method.js";
import type { Autoencoder } from "../models/autoencoder/model.js";
import type { Flux } from "../models/flux/model.js";
import { fluxIds, fluxRope, type RopeTable } from "../models/flux/positions.js";
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
  /** Pictures that went through the transformer so far, and those of them that backward will go through. */
  readonly passes: { forwards: number; backwards: number };

  constructor(
    readonly model: Flux,
    readonly grid: TokenGrid,
    readonly options: {
      timesteps: TimestepRounding;
      recompute?: boolean;
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
    const velocity = this.model.forward(
      {
        img: latents,
        txt: features.txt,
        pooled: features.pooled,
        sigma: sigmas.map((sigma) => timestepInput(sigma, timesteps)),
        guidance: this.model.config.guidance ? sigmas.map(() => guidance) : undefined,
        pe: this.#ropeOf(features.txt.dim(1)),
      },
      { recompute, roundTimestep: timesteps === "reference" ? "bfloat16" : "exact" },
    );
    this.passes.forwards += sigmas.length;
    if (velocity.requiresGrad) this.passes.backwards += sigmas.length;
    return velocity;
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
    return this.model.decode(latent, { recompute: this.options.recompute ?? false });
  }
}
