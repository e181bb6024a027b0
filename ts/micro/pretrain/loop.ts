import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { backward } from "../../autograd/backward.js";
import {
  completeCheckpoints,
  latestComplete,
  removeFolder,
  saveFolder,
  stepName,
  verifyManifest,
} from "../../checkpoint/folder.js";
import { saveState } from "../../checkpoint/state.js";
import { encodePng } from "../../data/png.js";
import { SrpoError } from "../../native/error.js";
import { synchronize } from "../../tensor/device.js";
import { tensorScope } from "../../tensor/scope.js";
import type { Tensor } from "../../tensor/tensor.js";
import { MetricsLog } from "../../train/metrics.js";
import { Progress } from "../../train/progress.js";
import { RunFolder } from "../../train/run_folder.js";
import { Learner } from "./learner.js";
import type { Stage } from "./stage.js";

/** Updates that one row of metrics.jsonl is the mean of. */
const logEvery = 10;
/** Checkpoints that are kept. */
const keep = 2;

export interface StageRun {
  /** The stage's folder: metrics.jsonl, TensorBoard events, samples/, checkpoints/, and at the end model/. */
  folder: string;
  signal: AbortSignal;
  out?: NodeJS.WriteStream;
}

export interface StageEnd {
  interrupted: boolean;
  /** Held-out figures at the end; empty if it was interrupted. */
  figures: Readonly<Record<string, number>>;
}

/** Where a stage's folder has what it gives to the next ones: there once the stage is done. */
export function modelOf(stageFolder: string): string {
  return path.join(stageFolder, "model");
}

export function isDone(stageFolder: string): boolean {
  return existsSync(path.join(modelOf(stageFolder), "manifest.json"));
}

type Values = Readonly<Record<string, number>>;

/** A stage's training: from its newest checkpoint, if it has one, to its model folder. */
export class Loop {
  /** Updates done. */
  step = 0;
  readonly #run: RunFolder;
  readonly #learner: Learner;
  readonly #progress: Progress;
  #metrics!: MetricsLog;
  #sums = new Map<string, { total: number; count: number }>();
  #summed = 0;

  private constructor(
    readonly stage: Stage,
    readonly options: StageRun,
    progress: (done: number) => Progress,
    start: { step: number; learner: Learner },
  ) {
    this.#run = new RunFolder(options.folder);
    this.#learner = start.learner;
    this.step = start.step;
    this.#progress = progress(start.step);
  }

  /** @throws SrpoError ERR_CHECKPOINT for a checkpoint that is damaged or another stage's */
  static async create(stage: Stage, options: StageRun): Promise<Loop> {
    const run = new RunFolder(options.folder);
    for (const folder of [run.samples, run.checkpoints]) mkdirSync(folder, { recursive: true });
    const learner = new Learner(stage.models, stage.settings);
    const newest = await latestComplete(run.checkpoints);
    if (newest !== undefined) {
      await verifyManifest(newest.path);
      await learner.load(path.join(newest.path, "state"));
    }
    const progress = (done: number) =>
      new Progress({
        unit: `${stage.name} steps`,
        total: stage.settings.steps,
        done,
        ...(options.out === undefined ? {} : { out: options.out }),
      });
    return new Loop(stage, options, progress, { step: newest?.step ?? 0, learner });
  }

  /** Trains to the end, or until the signal; leaves a checkpoint or the model. */
  async run(): Promise<StageEnd> {
    const { settings } = this.stage;
    const { signal } = this.options;
    this.#metrics = await MetricsLog.open(this.#run.metrics, this.#run.path, this.step);
    let figures: Values = {};
    // A step's numbers are awaited while the next one runs.
    let pending: Promise<Values> | undefined;
    let last = performance.now();
    while (this.step < settings.steps && !signal.aborted) {
      const enqueued = this.#update(this.step + 1);
      if (pending !== undefined) this.#took(this.step, await pending);
      pending = enqueued;
      this.step += 1;
      const ends = this.step === settings.steps || signal.aborted;
      const due = (every: number) => every > 0 && this.step % every === 0;
      if (ends || due(settings.saveEvery) || due(settings.lookEvery) || due(logEvery)) {
        this.#took(this.step, await pending);
        pending = undefined;
        const now = performance.now();
        this.#log((now - last) / 1000);
        last = now;
      }
      if (due(settings.saveEvery) && !ends) await this.#save();
      if (this.step === settings.steps || due(settings.lookEvery)) figures = await this.#look();
      if (due(settings.lookEvery)) last = performance.now();
    }
    if (pending !== undefined) this.#took(this.step, await pending);
    this.#progress.end();
    const interrupted = this.step < settings.steps;
    if (interrupted) await this.#save();
    else await this.#finish(figures);
    return { interrupted, figures: interrupted ? {} : figures };
  }

  /** Enqueues one update; its numbers come with the promise. */
  #update(step: number): Promise<Values> {
    using scope = tensorScope();
    void scope;
    this.#learner.zeroGradients();
    const { loss, metrics } = this.stage.loss(step);
    backward(loss);
    const gradNorm = this.#learner.step(step);
    const entries = Object.entries({ loss, ...metrics, gradNorm } satisfies Record<string, Tensor>);
    return Promise.all(
      entries.map(async ([name, value]) => [name, await value.item()] as const),
    ).then((values) => Object.fromEntries(values));
  }

  #took(step: number, values: Values): void {
    if (!Number.isFinite(values["gradNorm"]))
      throw new SrpoError(
        "ERR_NOT_FINITE",
        `pretrain: ${this.stage.name}: update ${step}: expected a finite gradient, got norm ` +
          `${values["gradNorm"]}; the weights have not moved`,
      );
    for (const [name, value] of Object.entries(values)) {
      const { total, count } = this.#sums.get(name) ?? { total: 0, count: 0 };
      this.#sums.set(name, { total: total + value, count: count + 1 });
    }
    this.#summed += 1;
    this.#progress.update(step, `loss ${values["loss"]!.toFixed(4)}`);
  }

  /** One row of the means since the last. */
  #log(seconds: number): void {
    const means = [...this.#sums].map(([name, { total, count }]) => [name, total / count] as const);
    this.#metrics.write({
      step: this.step,
      ...Object.fromEntries(means),
      lr: this.stage.settings.rate(this.step),
      seconds: seconds / this.#summed,
    });
    this.#sums = new Map();
    this.#summed = 0;
  }

  async #look(): Promise<Values> {
    using scope = tensorScope();
    void scope;
    using kept = this.#learner.kept();
    void kept;
    const { figures, pictures } = await this.stage.look({
      last: this.step === this.stage.settings.steps,
    });
    for (const [name, picture] of Object.entries(pictures)) {
      const png = encodePng(picture, { Software: "srpo-native", step: String(this.step) });
      writeFileSync(path.join(this.#run.samples, `${stepName(this.step)}-${name}.png`), png);
      this.#metrics.picture(this.step, name, picture.width, picture.height, png);
    }
    const rows = Object.entries(figures).map(([name, value]) => [`held-out/${name}`, value]);
    this.#metrics.write({ step: this.step, ...(Object.fromEntries(rows) as Values) });
    const text = Object.entries(figures).map(([name, value]) => `${name} ${value.toFixed(3)}`);
    this.#progress.say(`${this.stage.name} ${this.step}: ${text.join("  ")}`);
    return figures;
  }

  async #save(): Promise<void> {
    using scope = tensorScope();
    void scope;
    await synchronize("cpu");
    const { name } = this.stage;
    const place = path.join(this.#run.checkpoints, stepName(this.step));
    if (existsSync(place)) return;
    await saveFolder(place, async (folder) => {
      const state = { tensors: this.#learner.state(), json: { step: this.step, stage: name } };
      await saveState(folder, "state/state", state);
    });
    for (const old of (await completeCheckpoints(this.#run.checkpoints)).slice(keep))
      await removeFolder(old.path);
  }

  async #finish(figures: Values): Promise<void> {
    using scope = tensorScope();
    void scope;
    await synchronize("cpu");
    using kept = this.#learner.kept();
    void kept;
    await saveFolder(
      modelOf(this.#run.path),
      async (folder) => {
        await this.stage.write(folder);
        await folder.json("figures.json", { steps: this.step, ...figures });
      },
      { replace: true },
    );
    for (const old of await completeCheckpoints(this.#run.checkpoints))
      await removeFolder(old.path);
  }

  dispose(): void {
    this.#learner.dispose();
  }
}
