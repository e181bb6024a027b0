import { existsSync } from "node:fs";
import path from "node:path";
import { backward } from "../autograd/backward.js";
import {
  completeCheckpoints,
  removeFolder,
  stepName,
  verifyManifest,
} from "../checkpoint/folder.js";
import type { Batch, Method, PromptFeatures } from "../methods/method.js";
import { SrpoError } from "../native/error.js";
import { AdamW } from "../optim/adamw.js";
import { Ema } from "../optim/ema.js";
import { gradNorm } from "../optim/clip.js";
import { schedule, type Schedule } from "../optim/schedule.js";
import { synchronize } from "../tensor/device.js";
import { tensorScope } from "../tensor/scope.js";
import type { Tensor } from "../tensor/tensor.js";
import { loadTrainingState, readTraining, saveCheckpoint } from "./checkpoint.js";
import type { TrainConfig } from "./config.js";
import { dropMetricsAfter, MetricsLog } from "./metrics.js";
import type { Progress } from "./progress.js";
import type { RunFolder } from "./run_folder.js";
import { Sampler } from "./sampler.js";
import { loadSetup, type Setup } from "./setup.js";

export interface RunOptions {
  signal: AbortSignal;
  progress?: Progress;
}

export interface RunEnd {
  /** Whether the signal ended it before the last step. */
  interrupted: boolean;
  /** The last checkpoint that was written. */
  checkpoint: string;
}

/** Owns everything about a run but the method's equation: data, accumulation, update, files, signals. */
export class Trainer {
  /** Updates done. */
  step = 0;
  readonly #ema: Ema | undefined;
  readonly #schedule: Schedule;

  private constructor(
    readonly config: TrainConfig,
    readonly setup: Setup,
    readonly method: Method,
    readonly optimizer: AdamW,
  ) {
    const { remainder } = optimizer;
    this.#ema =
      config.ema > 0
        ? new Ema(setup.model.parameters, { decay: config.ema, remainder })
        : undefined;
    this.#schedule = schedule(config.schedule, { warmup: config.warmup, total: config.steps });
  }

  /**
   * Loads models and data, and with `checkpoint` the state that a run goes on from.
   *
   * @throws SrpoError ERR_CONFIG, ERR_CHECKPOINT
   */
  static async create(config: TrainConfig, checkpoint?: string): Promise<Trainer> {
    const setup = await loadSetup(config);
    const optimizer = new AdamW(setup.model.parameters, {
      lr: config.lr,
      beta1: config.beta1,
      beta2: config.beta2,
      eps: config.eps,
      weightDecay: config.weightDecay,
    });
    const trainer = new Trainer(config, setup, setup.method, optimizer);
    if (checkpoint !== undefined) await trainer.#resume(checkpoint);
    return trainer;
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
      weights: this.setup.model.parameters.weights,
      ...this.optimizer.state(),
      ...this.#ema?.state(),
    };
  }

  /** Trains to the last step, or until the signal; saves where it ends. */
  async run(run: RunFolder, { signal, progress }: RunOptions): Promise<RunEnd> {
    dropMetricsAfter(run.metrics, this.step);
    const metrics = new MetricsLog(run.metrics, run.path);
    const sampler = new Sampler(this.config, this.setup, run);
    const { steps, saveEvery, sampleEvery } = this.config;
    let checkpoint = "";
    if (this.step === 0 && sampleEvery > 0) await sampler.draw(0, metrics);
    progress?.update(this.step);
    while (this.step < steps && !signal.aborted) {
      const started = performance.now();
      const values = await this.update(this.step + 1);
      const seconds = (performance.now() - started) / 1000;
      this.step += 1;
      metrics.write({ step: this.step, ...values, seconds });
      progress?.update(this.step, noteOf(values));
      if (saveEvery > 0 && this.step % saveEvery === 0) checkpoint = await this.save(run);
      if (sampleEvery > 0 && (this.step % sampleEvery === 0 || this.step === steps))
        await sampler.draw(this.step, metrics);
    }
    const here = path.join(run.checkpoints, stepName(this.step));
    if (checkpoint !== here && !existsSync(here)) checkpoint = await this.save(run);
    return { interrupted: this.step < steps, checkpoint: here };
  }

  /**
   * One update: every prompt's terms, then the step.
   *
   * @param step - counted from 1
   * @returns what metrics.jsonl has of it
   * @throws SrpoError ERR_NOT_FINITE if the gradient is not finite; the weights have not moved then
   */
  async update(step: number): Promise<Record<string, number>> {
    using scope = tensorScope();
    void scope;
    const sums = new Map<string, { total: number; count: number }>();
    const pending: Promise<void>[] = [];
    this.setup.model.parameters.zeroGradients();
    for (const samples of this.#microBatches()) {
      using inner = tensorScope();
      void inner;
      const batch = await this.#batch(step, samples);
      for await (const term of this.method.terms(batch)) {
        backward(term.loss);
        for (const [name, value] of Object.entries(term.metrics))
          pending.push(addTo(sums, `${term.name}/${name}`, value));
      }
    }
    const norm = gradNorm(this.setup.model.parameters);
    const lr = this.config.lr * this.#schedule(step);
    const { maxGradNorm } = this.config;
    this.optimizer.step({
      lr,
      gradNorm: norm,
      maxGradNorm: maxGradNorm > 0 ? maxGradNorm : undefined,
    });
    this.#ema?.update();
    const awaited = norm.item();
    await Promise.all(pending);
    const found = await awaited;
    if (!Number.isFinite(found))
      throw new SrpoError(
        "ERR_NOT_FINITE",
        `train: update ${step}: expected a finite gradient, got norm ${found}; the weights have not moved`,
      );
    const means = [...sums].map(([name, { total, count }]) => [name, total / count] as const);
    return { ...Object.fromEntries(means), gradNorm: found, lr };
  }

  /** The update's prompts in groups of one forward. */
  #microBatches(): number[][] {
    const { batch, microBatch } = this.config;
    const groups: number[][] = [];
    for (let start = 0; start < batch; start += microBatch)
      groups.push(Array.from({ length: Math.min(microBatch, batch - start) }, (_, i) => start + i));
    return groups;
  }

  async #batch(step: number, samples: readonly number[]): Promise<Batch> {
    const { data, clean } = this.setup;
    const places = samples.map((sample) => ((step - 1) * this.config.batch + sample) % data.size);
    const features: PromptFeatures = await data.features(places);
    return {
      step,
      captions: places.map((place) => data.captions[place]!),
      features,
      samples,
      share: samples.length / this.config.batch,
      ...(clean === undefined ? {} : { clean: await clean(places) }),
    };
  }

  /** Writes a checkpoint of now, and removes those beyond the newest `keep`. Returns its folder. */
  async save(run: RunFolder): Promise<string> {
    const { config, setup } = this;
    await synchronize(setup.model.parameters.device);
    const place = path.join(run.checkpoints, stepName(this.step));
    await saveCheckpoint(place, {
      model: setup.model,
      base: config.model!,
      saveDtype: config.saveDtype,
      state: this.#state(),
      training: {
        step: this.step,
        method: config.method,
        seed: config.seed,
        options: JSON.parse(JSON.stringify(config)) as Record<string, never>,
        version: setup.version,
      },
    });
    const all = await completeCheckpoints(run.checkpoints);
    for (const old of all.slice(config.keep)) await removeFolder(old.path);
    return place;
  }

  dispose(): void {
    this.optimizer.dispose();
    this.#ema?.dispose();
    this.setup.dispose();
  }
}

async function addTo(
  sums: Map<string, { total: number; count: number }>,
  name: string,
  value: Tensor | number,
): Promise<void> {
  const number = typeof value === "number" ? value : await value.item();
  const sum = sums.get(name) ?? { total: 0, count: 0 };
  sums.set(name, { total: sum.total + number, count: sum.count + 1 });
}

/** "reward 0.123" of every term that has one, for the progress line. */
function noteOf(values: Readonly<Record<string, number>>): string {
  return Object.entries(values)
    .filter(([name]) => name.endsWith("/reward"))
    .map(([name, value]) => `${name} ${value.toFixed(4)}`)
    .join("  ");
}
