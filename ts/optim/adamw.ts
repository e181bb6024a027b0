import { SrpoError } from "../native/error.js";
import {
  adamwStep,
  cast,
  countNonFinite,
  joinMaster,
  momentBlock,
  splitMaster,
} from "../ops/index.js";
import { labelled } from "../tensor/device.js";
import { release, tensorScope } from "../tensor/scope.js";
import { tensor, zeros, type Tensor } from "../tensor/tensor.js";
import { rowsOf } from "./factored.js";
import { gradientsOf, type FlatParameters } from "./flat_parameters.js";

export interface AdamWOptions {
  lr: number;
  beta1: number;
  beta2: number;
  eps: number;
  weightDecay: number;
  /**
   * Of bfloat16 weights: 16 more bits beside each, exact (default), or none, each update rounded up or
   * down at random, right on average: 2 bytes a weight less.
   */
  rounding: "remainder" | "stochastic";
  /**
   * How m and v are kept: exactly (default), in 2 bytes each, or in 1 with a scale for each block of 256.
   * What is not float32 is rounded up or down at random too, right on average: a v that is rounded to
   * nearest stands still, as it moves by a thousandth.
   */
  moments: MomentForm;
  /** Of all that is rounded at random; default 0. */
  seed: bigint;
}

export const momentForms = ["float32", "bfloat16", "8bit"] as const;
export type MomentForm = (typeof momentForms)[number];
const momentDTypes = { float32: "float32", bfloat16: "bfloat16", "8bit": "uint8" } as const;

/** SRPO's recipe (methods.md 2.1). */
export const adamWDefaults: Readonly<AdamWOptions> = {
  lr: 5e-6,
  beta1: 0.9,
  beta2: 0.999,
  eps: 1e-8,
  weightDecay: 1e-4,
  rounding: "remainder",
  moments: "float32",
  seed: 0n,
};

export interface AdamWStepOptions {
  /** Of this update, where a schedule sets it; default the optimizer's. */
  lr?: number | undefined;
  /**
   * [1], float32: the norm of all gradients, over all shards. With it an update whose norm is not
   * finite is left out, and counted.
   */
  gradNorm?: Tensor | undefined;
  /** With gradNorm: gradients are scaled down to this norm; default no clipping. */
  maxGradNorm?: number | undefined;
}

/**
 * AdamW over flat parameters. Bfloat16 weights keep 16 more bits beside them and are updated through
 * the float32 master that both make up, to the same bits as float32 weights would be: at the recipe's
 * rate of 5e-6 a weight rounded to nearest would not move at all.
 *
 * A step enqueues one op, and one for each matrix whose gradient is factored, and waits for nothing. What it holds no scope frees; `dispose` does. A shard of
 * 8-bit moments begins at a multiple of `momentBlock`.
 *
 * @see `adamwStep` for the equations
 */
export class AdamW {
  readonly options: Readonly<AdamWOptions>;
  /** First and second moment, [n], float32, bfloat16 or uint8. */
  readonly m: Tensor;
  readonly v: Tensor;
  /** [ceil(n / 256)], uint8: exponents of the blocks of 8-bit moments; undefined for others. */
  readonly mScale: Tensor | undefined;
  readonly vScale: Tensor | undefined;
  /** [n, 2], uint8: the masters' lower halves; undefined for float32 and stochastic ones. */
  readonly remainder: Tensor | undefined;
  /** [1], int32: updates left out because their norm was not finite. */
  readonly skipped: Tensor;

  readonly #parameters: FlatParameters;
  #steps = 0;

  constructor(parameters: FlatParameters, options: Partial<AdamWOptions> = {}) {
    gradientsOf(parameters, "AdamW");
    const { weights } = parameters;
    const { device } = weights;
    this.#parameters = parameters;
    this.options = { ...adamWDefaults, ...options };
    const { moments } = this.options;
    const moment = () => release(zeros(weights.shape, { dtype: momentDTypes[moments], device }));
    const scale = () =>
      moments === "8bit"
        ? release(zeros([Math.ceil(weights.size / momentBlock)], { dtype: "uint8", device }))
        : undefined;
    [this.m, this.v] = labelled("moments", () => [moment(), moment()] as const);
    [this.mScale, this.vScale] = labelled("moments", () => [scale(), scale()] as const);
    this.remainder =
      weights.dtype === "bfloat16" && this.options.rounding === "remainder"
        ? labelled("remainders", () =>
            release(zeros([weights.size, 2], { dtype: "uint8", device })),
          )
        : undefined;
    this.skipped = release(zeros([1], { dtype: "int32", device }));
  }

  get #isStochastic(): boolean {
    return this.#parameters.weights.dtype === "bfloat16" && this.remainder === undefined;
  }

  /** Updates so far, those that were left out counted. */
  get steps(): number {
    return this.#steps;
  }

  /** One update with the gradients as they are. */
  step({ lr = this.options.lr, gradNorm, maxGradNorm }: AdamWStepOptions = {}): void {
    if (gradNorm !== undefined) countNonFinite(this.skipped, gradNorm);
    const { weights, factored = [] } = this.#parameters;
    const grad = gradientsOf(this.#parameters, "AdamW");
    const options = { lr, gradNorm, maxGradNorm };
    using scope = tensorScope();
    void scope;
    if (factored.length === 0 || grad.size > 0)
      this.#update(this.#range(0, grad.size), { ...options, grad });
    for (const part of factored) {
      const factors = { ...rowsOf(part, weights), first: part.start ?? 0 };
      this.#update(this.#range(part.offset, part.size), { ...options, factors });
    }
    this.#steps += 1;
  }

  /** Views of a range's weights and state; what is drawn for it follows its place. */
  #range(offset: number, size: number) {
    const { options, mScale, vScale, remainder } = this;
    const parameters = this.#parameters;
    const blocks = [Math.ceil(size / momentBlock)];
    const scale = (t: Tensor | undefined) => t?.viewOf(offset / momentBlock, blocks);
    const random = { seed: options.seed, offset: (parameters.first ?? 0) + offset };
    return {
      weights: parameters.weights.viewOf(offset, [size]),
      remainder: remainder?.viewOf(2 * offset, [size, 2]),
      stochastic: this.#isStochastic ? random : undefined,
      m: this.m.viewOf(offset, [size]),
      v: this.v.viewOf(offset, [size]),
      mScale: scale(mScale),
      vScale: scale(vScale),
      momentRounding: options.moments === "float32" ? undefined : random,
    };
  }

  #update(
    range: Omit<Parameters<typeof adamwStep>[0], keyof AdamWOptions | "step">,
    given: Pick<
      Parameters<typeof adamwStep>[0],
      "lr" | "gradNorm" | "maxGradNorm" | "grad" | "factors"
    >,
  ): void {
    const { skipped } = this;
    adamwStep({ ...this.options, ...range, ...given, skipped, step: this.#steps + 1 });
  }

  /** The weights as the update knows them: [n], float32, a tensor of its own. */
  master(): Tensor {
    const { weights } = this.#parameters;
    if (this.remainder !== undefined) return joinMaster(weights, this.remainder);
    if (this.#isStochastic) return cast(weights, "float32");
    const copy = zeros(weights.shape, { device: weights.device });
    copy.copyFrom(weights);
    return copy;
  }

  /** Sets weights and masters from float32 numbers, of which bfloat16 weights alone would lose bits. */
  setMaster(master: Tensor): void {
    const { weights } = this.#parameters;
    if (this.remainder !== undefined) splitMaster(master, weights, this.remainder);
    else weights.copyFrom(this.#isStochastic ? cast(master, "bfloat16") : master);
  }

  /**
   * What a checkpoint keeps beside the weights, by name; the tensors are the optimizer's own, but
   * `step` ([1], int32).
   */
  state(): Record<string, Tensor> {
    const { m, v, mScale, vScale, skipped, remainder } = this;
    const step = tensor([this.#steps], [1], { dtype: "int32" });
    return {
      m,
      v,
      ...(mScale === undefined || vScale === undefined ? {} : { mScale, vScale }),
      step,
      skipped,
      ...(remainder === undefined ? {} : { remainder }),
    };
  }

  /**
   * Takes over a checkpoint's state; with the weights it was saved with, training goes on to the bit.
   *
   * @throws SrpoError ERR_CHECKPOINT if a tensor is missing, ERR_SHAPE or ERR_DTYPE if it is another's;
   *   nothing has changed then
   */
  async loadState(state: Readonly<Record<string, Tensor>>): Promise<void> {
    const mine = this.state();
    for (const [name, to] of Object.entries(mine)) {
      const from = state[name];
      if (from === undefined)
        throw new SrpoError("ERR_CHECKPOINT", `AdamW: ${name}: expected a tensor, got none`);
      const said = ({ dtype, shape }: Tensor) => `${dtype} [${shape.join(", ")}]`;
      if (said(from) !== said(to))
        throw new SrpoError(
          from.dtype === to.dtype ? "ERR_SHAPE" : "ERR_DTYPE",
          `AdamW: ${name}: expected ${said(to)}, got ${said(from)}`,
        );
    }
    const [step] = new Int32Array(await state["step"]!.readBytes());
    for (const [name, to] of Object.entries(mine)) if (name !== "step") to.copyFrom(state[name]!);
    this.#steps = step!;
  }

  dispose(): void {
    const { m, v, mScale, vScale, skipped, remainder } = this;
    for (const t of [m, v, mScale, vScale, skipped, remainder]) t?.dispose();
  }
}
