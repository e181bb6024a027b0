import { loadState } from "../../checkpoint/state.js";
import { concat, globalNorm } from "../../ops/index.js";
import { AdamW } from "../../optim/adamw.js";
import { gradNorm } from "../../optim/clip.js";
import { Ema } from "../../optim/ema.js";
import type { ParameterSet } from "../../nn/parameter_set.js";
import { tensorScope } from "../../tensor/scope.js";
import type { Tensor } from "../../tensor/tensor.js";
import type { StageSettings } from "./settings.js";

/** The update of several models as if they were one: one norm, one clip, one rate. */
export class Learner {
  readonly #parts: readonly {
    name: string;
    parameters: ParameterSet;
    optimizer: AdamW;
    ema: Ema | undefined;
  }[];

  constructor(
    models: Readonly<Record<string, ParameterSet>>,
    readonly settings: StageSettings,
  ) {
    this.#parts = Object.entries(models).map(([name, parameters]) => {
      const optimizer = new AdamW(parameters, { weightDecay: settings.weightDecay });
      const { remainder } = optimizer;
      return {
        name,
        parameters,
        optimizer,
        ema: settings.ema > 0 ? new Ema(parameters, { decay: settings.ema, remainder }) : undefined,
      };
    });
  }

  zeroGradients(): void {
    for (const { parameters } of this.#parts) parameters.zeroGradients();
  }

  /** One update. Returns the norm of all gradients, [1]. */
  step(update: number): Tensor {
    const { rate, maxGradNorm } = this.settings;
    const norms = this.#parts.map(({ parameters }) => gradNorm(parameters));
    const norm = norms.length === 1 ? norms[0]! : globalNorm(concat(norms, 0));
    for (const { optimizer, ema } of this.#parts) {
      optimizer.step({ lr: rate(update), gradNorm: norm, maxGradNorm });
      ema?.update();
    }
    return norm;
  }

  /** Puts the weights to keep in place until the handle is disposed of: the averages, where there are any. */
  kept(): Disposable {
    const applied = this.#parts.flatMap(({ ema }) => (ema === undefined ? [] : [ema.apply()]));
    return {
      [Symbol.dispose]() {
        for (const one of applied) one[Symbol.dispose]();
      },
    };
  }

  /** What a resumed run goes on from, by name. */
  state(): Record<string, Tensor> {
    return Object.fromEntries(
      this.#parts.flatMap(({ name, parameters, optimizer, ema }) =>
        Object.entries({
          weights: parameters.weights,
          ...optimizer.state(),
          ...ema?.state(),
        }).map(([key, tensor]) => [`${name}.${key}`, tensor] as const),
      ),
    );
  }

  /** @throws SrpoError ERR_CHECKPOINT for another run's state */
  async load(folder: string): Promise<void> {
    using scope = tensorScope();
    void scope;
    const state = this.state();
    await loadState(folder, "state", state);
    for (const { name, optimizer } of this.#parts) {
      // The optimizer's step is a tensor made for the occasion, so that its state is read through it.
      const own = Object.keys(optimizer.state()).map((key) => [key, state[`${name}.${key}`]!]);
      await optimizer.loadState(Object.fromEntries(own) as Record<string, Tensor>);
    }
  }

  dispose(): void {
    for (const { optimizer, ema } of this.#parts) {
      optimizer.dispose();
      ema?.dispose();
    }
  }
}
