import { existsSync } from "node:fs";
import path from "node:path";
import {
  completeCheckpoints,
  removeFolder,
  stepName,
  verifyManifest,
} from "../checkpoint/folder.js";
import type { Method } from "../methods/method.js";
import { openFluxMasters } from "../models/open.js";
import { baseFolder, partPlace } from "../models/pipeline/places.js";
import { SrpoError } from "../native/error.js";
import { AdamW } from "../optim/adamw.js";
import { Ema } from "../optim/ema.js";
import { synchronize } from "../tensor/device.js";
import { tensorScope } from "../tensor/scope.js";
import type { Tensor } from "../tensor/tensor.js";
import { loadTrainingState, readTraining, saveCheckpoint } from "./checkpoint.js";
import { markBest } from "./best.js";
import type { TrainConfig } from "./config.js";
import { checkEvaluation, evaluationEvery, Evaluations } from "./evaluations.js";
import type { Evaluator } from "./evaluator.js";
import { MetricsLog } from "./metrics.js";
import type { Progress } from "./progress.js";
import { rewardFigures } from "./reward_evaluator.js";
import type { RunFolder } from "./run_folder.js";
import { Sampler } from "./sampler.js";
import { loadSetup, type Setup } from "./setup.js";
import { Updater } from "./updater.js";

export interface RunOptions {
  signal: AbortSignal;
  progress?: Progress;
}

export interface RunEnd {
  /** Whether the signal ended it before the last step. */
  interrupted: boolean;
  /** The last checkpoint; undefined if it ended before the first. */
  checkpoint: string | undefined;
  /** What its evaluations came to, a line each. */
  conclusion: readonly string[];
}

/** Owns everything about a run but the method's equation and its updates: state, files, evaluations, signals. */
export class Trainer {
  /** Updates done. */
  step = 0;
  readonly #ema: Ema | undefined;
  readonly #updater: Updater;

  private constructor(
    readonly config: TrainConfig,
    readonly setup: Setup,
    readonly method: Method,
    readonly optimizer: AdamW,
    readonly evaluations: Evaluations | undefined,
  ) {
    const { remainder } = optimizer;
    this.#ema =
      config.ema > 0 ? new Ema(setup.trained, { decay: config.ema, remainder }) : undefined;
    this.#updater = new Updater(config, setup, method, optimizer, this.#ema);
  }

  /**
   * Loads models and data, and with `checkpoint` the state that a run goes on from.
   *
   * @param evaluator - what judges the run, in place of a second reward; stays the caller's to dispose of
   * @throws SrpoError ERR_CONFIG, ERR_CHECKPOINT
   */
  static async create(
    config: TrainConfig,
    checkpoint?: string,
    evaluator?: Evaluator,
  ): Promise<Trainer> {
    const second = config.evalReward === undefined ? undefined : rewardFigures;
    const criterion = checkEvaluation(config, evaluator?.figures ?? second);
    const setup = await loadSetup(config);
    let optimizer: AdamW | undefined;
    try {
      const judge = evaluator ?? setup.evaluator;
      const state = checkpoint === undefined ? undefined : readTraining(checkpoint).evaluation;
      const evaluations =
        judge === undefined || evaluationEvery(config) === 0
          ? undefined
          : new Evaluations(config, judge, criterion, state);
      const { lr, beta1, beta2, eps, weightDecay, rounding, moments } = config;
      const seed = BigInt(config.seed);
      const { model, trained, lora } = setup;
      optimizer = new AdamW(trained, {
        lr,
        beta1,
        beta2,
        eps,
        weightDecay,
        rounding,
        moments,
        seed,
      });
      // A resumed run has its masters in its state; a LoRA begins as it is.
      if (checkpoint === undefined && lora === undefined && optimizer.remainder !== undefined)
        await openFluxMasters(partPlace(setup.place, "transformer"), model, optimizer.remainder);
      const trainer = new Trainer(config, setup, setup.method, optimizer, evaluations);
      if (checkpoint !== undefined) await trainer.#resume(checkpoint);
      return trainer;
    } catch (error) {
      optimizer?.dispose();
      setup.dispose();
      throw error;
    }
  }

  async #resume(checkpoint: string): Promise<void> {
    const record = readTraining(checkpoint);
    if (record.method !== this.config.method)
      throw new SrpoError(
        "ERR_CONFIG",
        `resume: expected a run of ${this.config.method}, got one of ${record.method}`,
      );
    await verifyManifest(checkpoint);
    using scope = tensorScope();
    void scope;
    // The optimizer's step is a tensor made for the occasion, so that its state is read through a copy.
    const { weights, ema, ...optimizer } = this.#state();
    await loadTrainingState(checkpoint, {
      weights: weights!,
      ...optimizer,
      ...(ema && { ema }),
    });
    await this.optimizer.loadState(optimizer);
    this.step = record.step;
  }

  /** What a resumed run continues from, by name. */
  #state(): Record<string, Tensor> {
    return {
      weights: this.setup.trained.weights,
      ...this.optimizer.state(),
      ...this.#ema?.state(),
    };
  }

  /**
   * Trains to the last step, or until the signal; saves where it ends. A signal before the first update
   * leaves nothing to save: the run begins again when it is resumed.
   */
  async run(run: RunFolder, { signal, progress }: RunOptions): Promise<RunEnd> {
    const { evaluations } = this;
    const metrics = await MetricsLog.open(
      run.metrics,
      run.path,
      this.step,
      (row) => evaluations?.knows(row) ?? true,
    );
    const { model, policy } = this.setup;
    const evaluate = async () =>
      (await evaluations?.at(this.step, { model, policy, signal }, { metrics, progress })) ?? false;
    const ended = () => this.step >= steps || (evaluations?.exhausted ?? false);
    const sampler = new Sampler(this.config, this.setup, run);
    const { steps, saveEvery, sampleEvery, batch } = this.config;
    const due = () => sampleEvery > 0 && (this.step % sampleEvery === 0 || this.step === steps);
    let checkpoint: string | undefined;
    // The grid of this step is there already unless the run was stopped between it and the step.
    if (due() && !existsSync(sampler.fileOf(this.step))) {
      progress?.update(this.step, "drawing samples");
      await sampler.draw(this.step, metrics, signal);
    }
    // A run that was stopped before it named its best checkpoint names it now.
    await this.#markBest(run);
    if (await evaluate()) checkpoint = await this.save(run);
    progress?.update(this.step);
    const { passes } = this.setup.policy;
    while (!ended() && !signal.aborted) {
      const started = performance.now();
      const before = { ...passes };
      const values = await this.update(this.step + 1, (prompts) =>
        progress?.update(this.step, `prompts ${prompts}/${batch}`),
      );
      const seconds = (performance.now() - started) / 1000;
      const forwards = passes.forwards - before.forwards;
      const backwards = passes.backwards - before.backwards;
      this.step += 1;
      metrics.write({ step: this.step, ...values, seconds, forwards, backwards });
      progress?.update(this.step, noteOf(values));
      if (due()) await sampler.draw(this.step, metrics, signal);
      const best = await evaluate();
      const last = ended() || signal.aborted;
      if (last || best || (saveEvery > 0 && this.step % saveEvery === 0))
        checkpoint = await this.save(run);
    }
    if (ended()) checkpoint ??= path.join(run.checkpoints, stepName(this.step));
    return { interrupted: !ended(), checkpoint, conclusion: evaluations?.conclusion() ?? [] };
  }

  async #markBest(run: RunFolder): Promise<void> {
    const step = this.evaluations?.bestStep;
    if (step !== undefined) await markBest(run.checkpoints, step);
  }

  /**
   * One update of the weights, as `Updater.run` makes it.
   *
   * @throws SrpoError ERR_NOT_FINITE
   */
  async update(step: number, onPrompts?: (done: number) => void): Promise<Record<string, number>> {
    return this.#updater.run(step, onPrompts);
  }

  /** Writes a checkpoint of now, and removes the earlier ones beyond `keep`, but the best. Returns its folder. */
  async save(run: RunFolder): Promise<string> {
    const { config, setup } = this;
    const { weights, device } = setup.trained;
    await synchronize(device);
    const place = path.join(run.checkpoints, stepName(this.step));
    using scope = tensorScope();
    void scope;
    await saveCheckpoint(place, {
      model: setup.model,
      lora: setup.lora,
      transformer: partPlace(setup.place, "transformer"),
      // Bfloat16 weights in a float32 file are the exact ones.
      master:
        weights.dtype === "bfloat16" && config.saveDtype === "float32"
          ? this.optimizer.master()
          : undefined,
      base: baseFolder(setup.place),
      saveDtype: config.saveDtype,
      state: this.#state(),
      training: {
        step: this.step,
        method: config.method,
        seed: config.seed,
        options: JSON.parse(JSON.stringify(config)) as Record<string, never>,
        version: setup.version,
        ...(this.evaluations?.state && { evaluation: this.evaluations.state }),
      },
    });
    await this.#markBest(run);
    // A run that went on from an earlier checkpoint leaves the later ones until it arrives there.
    const all = (await completeCheckpoints(run.checkpoints)).filter(
      ({ step }) => step <= this.step,
    );
    for (const old of all.slice(config.keep))
      if (old.step !== this.evaluations?.bestStep) await removeFolder(old.path);
    return place;
  }

  dispose(): void {
    this.optimizer.dispose();
    this.#ema?.dispose();
    this.setup.dispose();
  }
}

/** "reward 0.123" of every term that has one, for the progress line. */
function noteOf(values: Readonly<Record<string, number>>): string {
  return Object.entries(values)
    .filter(([name]) => name.endsWith("/reward"))
    .map(([name, value]) => `${name} ${value.toFixed(4)}`)
    .join("  ");
}
