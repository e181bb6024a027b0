import { SrpoError } from "../native/error.js";
import {
  adamwStep,
  cast,
  countNonFinite,
  joinMaster,
  momentBlock,
  splitMaster,
} from "../ops/index.js";
import { labelled, type Device } from "../tensor/device.js";
import type { DType } from "../tensor/dtype.js";
import { release, tensorScope } from "../tensor/scope.js";
import { tensor, zeros, type Tensor } from "../tensor/tensor.js";
import { rowsOf } from "./factored.js";
import { gradientsOf, piecesOf, type Flat, type PlacedPiece } from "./flat_parameters.js";

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
 * A step enqueues one op a piece, and one for each matrix whose gradient is factored, and waits for nothing. What it
 * holds no scope frees; `dispose` does. A piece of 8-bit moments begins at a multiple of `momentBlock`.
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

  readonly #pieces: readonly PlacedPiece[];
  readonly #dtype: DType;
  readonly #device: Device;
  readonly #size: number;
  #steps = 0;

  constructor(parameters: Flat, options: Partial<AdamWOptions> = {}) {
    const pieces = piecesOf(parameters);
    for (const piece of pieces) gradientsOf(piece, "AdamW");
    const { dtype, device } = pieces[0]!.weights;
    const size = pieces.reduce((sum, piece) => sum + piece.size, 0);
    this.#pieces = pieces;
    [this.#dtype, this.#device, this.#size] = [dtype, device, size];
    this.options = { ...adamWDefaults, ...options };
    const { moments } = this.options;
    const moment = () => release(zeros([size], { dtype: momentDTypes[moments], device }));
    const scale = () =>
      moments === "8bit"
        ? release(zeros([Math.ceil(size / momentBlock)], { dtype: "uint8", device }))
        : undefined;
    [this.m, this.v] = labelled("moments", () => [moment(), moment()] as const);
    [this.mScale, this.vScale] = labelled("moments", () => [scale(), scale()] as const);
    this.remainder =
      dtype === "bfloat16" && this.options.rounding === "remainder"
        ? labelled("remainders", () => release(zeros([size, 2], { dtype: "uint8", device })))
        : undefined;
    this.skipped = release(zeros([1], { dtype: "int32", device }));
  }

  get #isStochastic(): boolean {
    return this.#dtype === "bfloat16" && this.remainder === undefined;
  }

  /** Updates so far, those that were left out counted. */
  get steps(): number {
    return this.#steps;
  }

  /** One update with the gradients as they are. */
  step({ lr = this.options.lr, gradNorm, maxGradNorm }: AdamWStepOptions = {}): void {
    if (gradNorm !== undefined) countNonFinite(this.skipped, gradNorm);
    const options = { lr, gradNorm, maxGradNorm };
    using scope = tensorScope();
    void scope;
    for (const piece of this.#pieces) {
      const { weights, factored = [] } = piece;
      const grad = gradientsOf(piece, "AdamW");
      if (grad.size > 0) this.#update(this.#range(piece, 0, grad.size), { ...options, grad });
      for (const part of factored) {
        const factors = { ...rowsOf(part, weights), first: part.start ?? 0 };
        this.#update(this.#range(piece, part.offset, part.size), { ...options, factors });
      }
    }
    this.#steps += 1;
  }

  /** Views of a range's weights and state; what is drawn for it follows its place. */
  #range({ weights, first = 0, at }: PlacedPiece, offset: number, size: number) {
    const { options, mScale, vScale } = this;
    const begin = at + offset;
    const blocks = [Math.ceil(size / momentBlock)];
    const scale = (t: Tensor | undefined) => t?.viewOf(begin / momentBlock, blocks);
    const random = { seed: options.seed, offset: first + offset };
    return {
      weights: weights.viewOf(offset, [size]),
      remainder: this.#remainderOf(begin, size),
      stochastic: this.#isStochastic ? random : undefined,
      m: this.m.viewOf(begin, [size]),
      v: this.v.viewOf(begin, [size]),
      mScale: scale(mScale),
      vScale: scale(vScale),
      momentRounding: options.moments === "float32" ? undefined : random,
    };
  }

  #remainderOf(at: number, size: number): Tensor | undefined {
    return this.remainder?.viewOf(2 * at, [size, 2]);
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
    const [only, ...more] = this.#pieces;
    if (more.length === 0 && this.remainder !== undefined)
      return joinMaster(only!.weights, this.remainder);
    const all = zeros([this.#size], { device: this.#device });
    for (const { weights, at, size } of this.#pieces) {
      using scope = tensorScope();
      void scope;
      const remainder = this.#remainderOf(at, size);
      const master =
        remainder === undefined ? cast(weights, "float32") : joinMaster(weights, remainder);
      all.viewOf(at, [size]).copyFrom(master);
    }
    return all;
  }

  /** Sets weights and masters from float32 numbers, of which bfloat16 weights alone would lose bits. */
  setMaster(master: Tensor): void {
    using scope = tensorScope();
    void scope;
    for (const { weights, at, size } of this.#pieces) {
      const [own, remainder] = [master.viewOf(at, [size]), this.#remainderOf(at, size)];
      if (remainder === undefined) weights.copyFrom(cast(own, weights.dtype));
      else splitMaster(own, weights, remainder);
    }
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
