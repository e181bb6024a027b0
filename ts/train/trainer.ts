import { existsSync } from "node:fs";
import path from "node:path";
import {
  completeCheckpoints,
  removeFolder,
  stepName,
  verifyManifest,
} from "../checkpoint/folder.js";
import type { StatePart } from "../checkpoint/state_parts.js";
import type { Method } from "../methods/method.js";
import { openFluxMasters } from "../models/open.js";
import { baseFolder, partPlace } from "../models/pipeline/places.js";
import { SrpoError } from "../native/error.js";
import { AdamW } from "../optim/adamw.js";
import { Ema } from "../optim/ema.js";
import { Sharding } from "../optim/sharding.js";
import { synchronize } from "../tensor/device.js";
import { tensorScope } from "../tensor/scope.js";
import type { Tensor } from "../tensor/tensor.js";
import { heldCheckpoint, loadTrainingState, readTraining } from "./checkpoint.js";
import { markBest } from "./best.js";
import type { TrainConfig } from "./config.js";
import { checkEvaluation, evaluationEvery, Evaluations } from "./evaluations.js";
import type { Evaluator } from "./evaluator.js";
import { MetricsLog, type MetricsRow } from "./metrics.js";
import type { Progress } from "./progress.js";
import { Ranks } from "./ranks.js";
import { rewardFigures } from "./reward_evaluator.js";
import type { RunFolder } from "./run_folder.js";
import { Sampler } from "./sampler.js";
import { Saver } from "./saver.js";
import { loadSetup, type Setup } from "./setup.js";
import { Updater } from "./updater.js";

export interface RunOptions {
  signal: AbortSignal;
  /** Of the rank that shows it. */
  progress?: Progress | undefined;
  /** Takes a line an update of what this rank did. */
  log?: ((line: string) => void) | undefined;
}

export interface RunEnd {
  /** Whether the signal, of any rank, ended it before the last step. */
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
  readonly #saver: Saver;

  private constructor(
    readonly config: TrainConfig,
    readonly setup: Setup,
    readonly method: Method,
    readonly optimizer: AdamW,
    readonly evaluations: Evaluations | undefined,
    readonly sharding: Sharding,
    readonly ranks: Ranks,
  ) {
    const { remainder } = optimizer;
    const { ema: decay } = config;
    const ema = decay > 0 ? new Ema(sharding.shard.pieces, { decay, remainder }) : undefined;
    this.#ema = ema;
    this.#updater = new Updater(config, setup, method, { optimizer, ema, sharding, ranks });
    this.#saver = new Saver(ranks);
  }

  /**
   * Loads models and data, and with `checkpoint` the state that a run goes on from.
   *
   * @param evaluator - what judges the run, in place of a second reward; stays the caller's to dispose of
   * @param ranks - the processes that train together, which all call this; default this one alone
   * @throws SrpoError ERR_CONFIG, ERR_CHECKPOINT
   */
  static async create(
    config: TrainConfig,
    checkpoint?: string,
    evaluator?: Evaluator,
    ranks: Ranks = Ranks.solo(),
  ): Promise<Trainer> {
    const second = config.evalReward === undefined ? undefined : rewardFigures;
    const figures = evaluator?.figures ?? second;
    const criterion = checkEvaluation(config, figures);
    const setup = await loadSetup(config, ranks);
    let optimizer: AdamW | undefined;
    let sharding: Sharding | undefined;
    try {
      const judge = evaluator ?? setup.evaluator;
      const state = checkpoint === undefined ? undefined : readTraining(checkpoint).evaluation;
      const evaluations =
        figures === undefined || evaluationEvery(config) === 0
          ? undefined
          : new Evaluations(config, judge, criterion, state);
      const { lr, beta1, beta2, eps, weightDecay, rounding, moments } = config;
      const seed = BigInt(config.seed);
      const { model, trained, lora } = setup;
      sharding = new Sharding(trained, ranks.communicator);
      const { pieces } = sharding.shard;
      optimizer = new AdamW(pieces, {
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
        await openFluxMasters(
          partPlace(setup.place, "transformer"),
          model,
          optimizer.remainder,
          pieces,
        );
      // A resumed run has its weights in its state.
      if (checkpoint === undefined) sharding.gatherWeights();
      const { method } = setup;
      const trainer = new Trainer(config, setup, method, optimizer, evaluations, sharding, ranks);
      if (checkpoint !== undefined) await trainer.#resume(checkpoint);
      return trainer;
    } catch (error) {
      optimizer?.dispose();
      sharding?.dispose();
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
    const { rank, size } = this.ranks;
    await this.ranks.all(() => verifyManifest(checkpoint, { rank, ranks: size }));
    using scope = tensorScope();
    void scope;
    // The optimizer's step is a tensor made for the occasion, so that its state is read through a copy.
    const optimizer = this.optimizer.state();
    await loadTrainingState(checkpoint, this.#state(optimizer));
    await this.optimizer.loadState(optimizer);
    this.sharding.gatherWeights();
    this.step = record.step;
  }

  /** What a resumed run continues from: this rank's part, by name. */
  #state(optimizer: Record<string, Tensor> = this.optimizer.state()): StatePart {
    const { rank, size } = this.ranks;
    const { pieces } = this.sharding.shard;
    const { length } = this.setup.trained;
    const weights = pieces.map((piece) => piece.weights);
    const tensors = { weights, ...optimizer, ...this.#ema?.state() };
    return { rank, ranks: size, ranges: pieces, length, tensors };
  }

  /**
   * Trains to the last step, or until the signal; saves where it ends. A signal before the first update
   * leaves nothing to save: the run begins again when it is resumed. Of several ranks the first writes what a
   * run has once, and what one knows of the end all are told between updates.
   */
  async run(run: RunFolder, options: RunOptions): Promise<RunEnd> {
    try {
      const end = await this.#run(run, options);
      await this.#saver.finish();
      return end;
    } catch (error) {
      // The first error counts; a checkpoint on its way is not lost with it.
      await this.#saver.leave().catch(() => undefined);
      throw error;
    }
  }

  async #run(run: RunFolder, { signal, progress, log }: RunOptions): Promise<RunEnd> {
    const { evaluations, ranks } = this;
    const known = (row: MetricsRow) => evaluations?.knows(row) ?? true;
    const metrics = ranks.isFirst
      ? await MetricsLog.open(run.metrics, run.path, this.step, known)
      : undefined;
    const { model, policy } = this.setup;
    const evaluate = async () =>
      (await evaluations?.at(this.step, { model, policy, signal }, { metrics, progress, ranks })) ??
      false;
    const ended = () => this.step >= steps || (evaluations?.exhausted ?? false);
    const sampler = new Sampler(this.config, this.setup, run);
    const { steps, saveEvery, sampleEvery, batch } = this.config;
    const due = () => sampleEvery > 0 && (this.step % sampleEvery === 0 || this.step === steps);
    const draw = async () => {
      if (due() && metrics !== undefined) await sampler.draw(this.step, metrics, signal);
    };
    let checkpoint: string | undefined;
    // The grid of this step is there already unless the run was stopped between it and the step.
    if (!existsSync(sampler.fileOf(this.step))) {
      if (due()) progress?.update(this.step, "drawing samples");
      await draw();
    }
    // A run that was stopped before it named its best checkpoint names it now.
    if (ranks.isFirst) await this.#markBest(run);
    if (await evaluate()) checkpoint = await this.save(run);
    progress?.update(this.step);
    const { passes } = this.setup.policy;
    let stopped = await ranks.any(signal.aborted);
    while (!ended() && !stopped) {
      const started = performance.now();
      const before = { ...passes };
      const values = await this.update(this.step + 1, (prompts) =>
        progress?.update(this.step, `prompts ${prompts}/${batch}`),
      );
      const seconds = (performance.now() - started) / 1000;
      const made = await ranks.gather({
        forwards: passes.forwards - before.forwards,
        backwards: passes.backwards - before.backwards,
      });
      const of = (kind: "forwards" | "backwards") => made.reduce((sum, one) => sum + one[kind], 0);
      this.step += 1;
      ranks.communicator.atStep(this.step);
      log?.(`update ${this.step}: ${this.#ownLine(seconds)}`);
      const together = this.#together(seconds);
      const counts = { forwards: of("forwards"), backwards: of("backwards") };
      metrics?.write({ step: this.step, ...values, seconds, ...counts, ...together });
      progress?.update(this.step, noteOf(values));
      // Else they come with the next update, beside its forward.
      if (due() || evaluations?.isDue(this.step) === true) this.sharding.gatherWeights();
      await draw();
      const best = await evaluate();
      await this.#saver.settle();
      stopped = await ranks.any(signal.aborted);
      const last = ended() || stopped;
      if (last || best || (saveEvery > 0 && this.step % saveEvery === 0))
        checkpoint = await this.save(run);
    }
    if (ended()) checkpoint ??= path.join(run.checkpoints, stepName(this.step));
    return { interrupted: !ended(), checkpoint, conclusion: evaluations?.conclusion() ?? [] };
  }

  #ownLine(seconds: number): string {
    const waited = this.#updater.waited[this.ranks.rank] ?? 0;
    const prompts = this.ranks.samplesOf(this.config.batch).length;
    return `${prompts} prompts in ${seconds.toFixed(3)} s, ${waited.toFixed(3)} s of them waiting for others`;
  }

  /** What several ranks log of an update: prompts a second, and the seconds that each waited for the others. */
  #together(seconds: number): Record<string, number> {
    const { size } = this.ranks;
    if (size === 1) return {};
    const waits = this.#updater.waited.map((waited, rank) => [`waited/${rank}`, waited] as const);
    return { promptsPerSecond: this.config.batch / seconds, ...Object.fromEntries(waits) };
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

  /**
   * Takes a checkpoint of now, which is written while training goes on; once it is complete, the earlier ones
   * beyond `keep`, but the best, are removed. Returns its folder.
   */
  async save(run: RunFolder): Promise<string> {
    const { config, setup } = this;
    this.sharding.gatherWeights();
    const { dtype, device } = setup.trained;
    await synchronize(device);
    const place = path.join(run.checkpoints, stepName(this.step));
    using scope = tensorScope();
    void scope;
    // Bfloat16 weights in a float32 file are the exact ones.
    const exact = dtype === "bfloat16" && config.saveDtype === "float32";
    const hold = () =>
      heldCheckpoint({
        model: setup.model,
        lora: setup.lora,
        transformer: partPlace(setup.place, "transformer"),
        master: exact ? this.sharding.gathered(this.optimizer.master()) : undefined,
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
    const [step, best] = [this.step, this.evaluations?.bestStep];
    await this.#saver.save(place, hold, () => this.#tidy(run, step, best));
    return place;
  }

  /** After the checkpoint of a step: names the best, and removes what is too old. */
  async #tidy(run: RunFolder, step: number, best: number | undefined): Promise<void> {
    if (best !== undefined) await markBest(run.checkpoints, best);
    // A run that went on from an earlier checkpoint leaves the later ones until it arrives there.
    const all = (await completeCheckpoints(run.checkpoints)).filter((one) => one.step <= step);
    for (const old of all.slice(this.config.keep))
      if (old.step !== best) await removeFolder(old.path);
  }

  dispose(): void {
    this.optimizer.dispose();
    this.#ema?.dispose();
    this.sharding.dispose();
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
