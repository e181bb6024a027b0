import { cast, emaUpdate } from "../ops/index.js";
import { release } from "../tensor/scope.js";
import { labelled } from "../tensor/device.js";
import { zeros, type Tensor } from "../tensor/tensor.js";
import type { FlatParameters } from "./flat_parameters.js";

/**
 * The exponential moving average of a model's weights, float32: `ema = decay ema + (1 - decay) w`,
 * starting from the weights as they are. No scope frees it; `dispose` does.
 */
export class Ema {
  /** [n], float32. */
  readonly weights: Tensor;
  readonly decay: number;

  readonly #parameters: FlatParameters;
  readonly #remainder: Tensor | undefined;
  readonly #ownRemainder: Tensor | undefined;

  /**
   * @param options.decay - 0 to 1
   * @param options.remainder - the optimizer's, with bfloat16 weights: the average follows the masters
   */
  constructor(
    parameters: FlatParameters,
    { decay, remainder }: { decay: number; remainder?: Tensor | undefined },
  ) {
    const { weights } = parameters;
    const { device } = weights;
    this.#parameters = parameters;
    if (weights.dtype === "bfloat16" && remainder === undefined)
      this.#ownRemainder = release(zeros([weights.size, 2], { dtype: "uint8", device }));
    this.#remainder = remainder ?? this.#ownRemainder;
    this.decay = decay;
    this.weights = labelled("EMA", () => release(zeros(weights.shape, { device })));
    emaUpdate(this.weights, weights, { remainder: this.#remainder, decay: 0 });
  }

  /** Follows the weights by one update. */
  update(): void {
    emaUpdate(this.weights, this.#parameters.weights, {
      remainder: this.#remainder,
      decay: this.decay,
    });
  }

  /**
   * Puts the averages where the weights are, until the returned handle is disposed of; to sample or
   * save with them. No update may come in between.
   *
   * @example { using swapped = ema.apply(); await sample(model); }
   */
  apply(): Disposable {
    const { weights } = this.#parameters;
    const kept = release(zeros(weights.shape, { dtype: weights.dtype, device: weights.device }));
    kept.copyFrom(weights);
    weights.copyFrom(cast(this.weights, weights.dtype));
    let applied = true;
    return {
      [Symbol.dispose]() {
        if (!applied) return;
        applied = false;
        weights.copyFrom(kept);
        kept.dispose();
      },
    };
  }

  /** What a checkpoint keeps, by name. */
  state(): Record<string, Tensor> {
    return { ema: this.weights };
  }

  /** Takes over a checkpoint's averages. @throws SrpoError ERR_SHAPE or ERR_DTYPE */
  loadState({ ema }: { readonly ema: Tensor }): void {
    this.weights.copyFrom(ema);
  }

  dispose(): void {
    this.weights.dispose();
    this.#ownRemainder?.dispose();
  }
}
