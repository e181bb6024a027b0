// Where the blocks' shifts, scales and gates come from. They depend on sigma, guidance and the pooled text alone, all
// known before a rollout begins; their layers are a quarter of FLUX's weights, and a forward of few samples reads
// all of them for a product of few rows. So a rollout makes those of all its noise levels in one product a layer.
import { noGrad } from "../../autograd/tape.js";
import { linearLayer } from "../../nn/layers.js";
import type { ParameterSet } from "../../nn/parameter_set.js";
import { cast, concat, silu, slice, split } from "../../ops/index.js";
import { release, tidy } from "../../tensor/scope.js";
import type { Tensor } from "../../tensor/tensor.js";
import type { Flux, FluxOptions } from "./model.js";

/** The parts that a layer of this name makes of the conditioning: shift, scale, gate, ..., [B, D] each. */
export type Modulation = (name: string, parts: number) => Tensor[];

/** @param act - [B, D], silu of the conditioning vector */
export function modulationOf(w: ParameterSet, act: Tensor): Modulation {
  return (name, parts) => split(linearLayer(w, name, act), 1, parts);
}

/** What a rollout knows before it begins. */
export interface Known {
  /** [B, Ltxt, context size] */
  readonly txt: Tensor;
  /** [B, vector size] */
  readonly pooled: Tensor;
  /** The noise levels of the steps, in their order, as `forward` takes them. */
  readonly sigmas: readonly number[];
  readonly guidance: number | undefined;
}

// Rows of one product: 64 make 136 MB of bf16 at FLUX's size.
const mostRows = 64;

/**
 * The modulations of a rollout's steps and its projected text, made when first asked for; without a gradient, and
 * right as long as the weights stay as they are. What it holds no scope frees.
 *
 * @see kernels.md 2.3.1, 2.3.5
 */
export class FluxAhead {
  readonly #model: Flux;
  readonly #known: Known;
  readonly #rounding: FluxOptions["roundTimestep"];
  readonly #atOnce: number;
  readonly #made = new Map<string, Tensor>();
  #txt: Tensor | undefined;
  #act: Tensor | undefined;
  #first = -1;

  constructor(model: Flux, known: Known, rounding: FluxOptions["roundTimestep"]) {
    this.#model = model;
    this.#known = known;
    this.#rounding = rounding;
    this.#atOnce = Math.max(1, Math.floor(mostRows / known.pooled.dim(0)));
  }

  /** The place of a noise level among the steps'; -1 if it is none. */
  levelOf(sigma: number): number {
    return this.#known.sigmas.indexOf(sigma);
  }

  /** [B, Ltxt, D] */
  get txt(): Tensor {
    const { parameters: w } = this.#model;
    this.#txt ??= kept(() => linearLayer(w, "txt_in", cast(this.#known.txt, w.dtype)));
    return this.#txt;
  }

  /** Of the step at this place. */
  modulation(level: number): Modulation {
    const { parameters: w } = this.#model;
    const B = this.#known.pooled.dim(0);
    return (name, parts) => {
      const first = level - (level % this.#atOnce);
      if (first !== this.#first) this.#begin(first);
      let rows = this.#made.get(name);
      if (rows === undefined) {
        rows = kept(() => linearLayer(w, name, this.#act!));
        this.#made.set(name, rows);
      }
      return split(slice(rows, 0, (level - first) * B, B), 1, parts);
    };
  }

  /** silu(vec) of the steps from `first` on, a step's samples after another's. */
  #begin(first: number): void {
    this.#forget();
    const { sigmas, guidance, pooled } = this.#known;
    const levels = sigmas.slice(first, first + this.#atOnce);
    const each = Array.from({ length: pooled.dim(0) }, (_, i) => i);
    const repeated = levels.flatMap((sigma) => each.map(() => sigma));
    this.#act = kept(() =>
      silu(
        this.#model.conditioning(
          {
            sigma: repeated,
            guidance: guidance === undefined ? undefined : repeated.map(() => guidance),
            pooled: concat(
              levels.map(() => pooled),
              0,
            ),
          },
          this.#rounding,
        ),
      ),
    );
    this.#first = first;
  }

  #forget(): void {
    for (const t of this.#made.values()) t.dispose();
    this.#made.clear();
    this.#act?.dispose();
    this.#act = undefined;
    this.#first = -1;
  }

  dispose(): void {
    this.#forget();
    this.#txt?.dispose();
    this.#txt = undefined;
  }
}

function kept(make: () => Tensor): Tensor {
  return release(noGrad(() => tidy(make)));
}
