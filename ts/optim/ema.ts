import { cast, emaUpdate } from "../ops/index.js";
import { release, tensorScope } from "../tensor/scope.js";
import { labelled } from "../tensor/device.js";
import { zeros, type Tensor } from "../tensor/tensor.js";
import { piecesOf, type Flat, type PlacedPiece } from "./flat_parameters.js";

/**
 * The exponential moving average of a model's weights, float32: `ema = decay ema + (1 - decay) w`,
 * starting from the weights as they are. No scope frees it; `dispose` does.
 */
export class Ema {
  /** [n], float32. */
  readonly weights: Tensor;
  readonly decay: number;

  readonly #pieces: readonly PlacedPiece[];
  readonly #remainder: Tensor | undefined;
  readonly #ownRemainder: Tensor | undefined;

  /**
   * @param options.decay - 0 to 1
   * @param options.remainder - the optimizer's, with bfloat16 weights: the average follows the masters
   */
  constructor(
    parameters: Flat,
    { decay, remainder }: { decay: number; remainder?: Tensor | undefined },
  ) {
    this.#pieces = piecesOf(parameters);
    const { dtype, device } = this.#pieces[0]!.weights;
    const size = this.#pieces.reduce((sum, piece) => sum + piece.size, 0);
    if (dtype === "bfloat16" && remainder === undefined)
      this.#ownRemainder = release(zeros([size, 2], { dtype: "uint8", device }));
    this.#remainder = remainder ?? this.#ownRemainder;
    this.decay = decay;
    this.weights = labelled("EMA", () => release(zeros([size], { device })));
    this.#follow(0);
  }

  #follow(decay: number): void {
    using scope = tensorScope();
    void scope;
    for (const { weights, at, size } of this.#pieces)
      emaUpdate(this.weights.viewOf(at, [size]), weights, {
        remainder: this.#remainder?.viewOf(2 * at, [size, 2]),
        decay,
      });
  }

  /** Follows the weights by one update. */
  update(): void {
    this.#follow(this.decay);
  }

  /**
   * Puts the averages where the weights are, until the returned handle is disposed of; to sample or
   * save with them. No update may come in between.
   *
   * @example { using swapped = ema.apply(); await sample(model); }
   */
  apply(): Disposable {
    const kept = this.#pieces.map(({ weights, at, size }) => {
      const { dtype, device } = weights;
      const copy = release(zeros([size], { dtype, device }));
      copy.copyFrom(weights);
      weights.copyFrom(cast(this.weights.viewOf(at, [size]), dtype));
      return copy;
    });
    let applied = true;
    return {
      [Symbol.dispose]: () => {
        if (!applied) return;
        applied = false;
        for (const [i, copy] of kept.entries()) {
          this.#pieces[i]!.weights.copyFrom(copy);
          copy.dispose();
        }
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
