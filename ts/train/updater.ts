import { backward } from "../autograd/backward.js";
import type { Batch, Method, PromptFeatures } from "../methods/method.js";
import { SrpoError } from "../native/error.js";
import { range } from "../native/ranges.js";
import type { AdamW } from "../optim/adamw.js";
import type { Ema } from "../optim/ema.js";
import { schedule, type Schedule } from "../optim/schedule.js";
import type { Sharding } from "../optim/sharding.js";
import { synchronize } from "../tensor/device.js";
import { tensorScope } from "../tensor/scope.js";
import type { TrainConfig } from "./config.js";
import { firstNotFinite, parametersNotFinite } from "./not_finite.js";
import type { Ranks } from "./ranks.js";
import type { Setup } from "./setup.js";
import { meansOf, TermMetrics, type Logged } from "./term_metrics.js";

/** What an update moves, and with whom. */
export interface UpdateParts {
  readonly optimizer: AdamW;
  readonly ema: Ema | undefined;
  readonly sharding: Sharding;
  readonly ranks: Ranks;
}

/**
 * Makes a run's updates: batches, accumulation over a method's terms, clip, optimizer, EMA. Of several ranks
 * each takes its part of the prompts and, of the summed gradient, its range of the weights.
 */
export class Updater {
  /** Seconds that each rank waited, in the last update, until all had their gradients. */
  waited: number[] = [];
  readonly #schedule: Schedule;

  constructor(
    readonly config: TrainConfig,
    readonly setup: Setup,
    readonly method: Method,
    readonly parts: UpdateParts,
  ) {
    this.#schedule = schedule(config.schedule, { warmup: config.warmup, total: config.steps });
  }

  /**
   * One update: every prompt's terms, then the step; once, or as often as the method has passes.
   *
   * @param step - counted from 1
   * @param onPrompts - told how many prompts are through, as they are
   * @returns what metrics.jsonl has of it, of its last pass
   * @throws SrpoError ERR_NOT_FINITE if the gradient is not finite; the weights have not moved then
   */
  run(step: number, onPrompts?: (done: number) => void): Promise<Record<string, number>> {
    return range(`update ${step}`, () => this.#update(step, onPrompts));
  }

  async #update(step: number, onPrompts?: (done: number) => void): Promise<Record<string, number>> {
    using scope = tensorScope();
    void scope;
    const { method } = this;
    this.#gatherWeights();
    if (method.collect !== undefined)
      for (const samples of this.#microBatches())
        await method.collect(await this.#batch(step, 0, samples));
    await method.collected?.((mine) => this.parts.ranks.gather(mine));
    this.waited = Array.from({ length: this.parts.ranks.size }, () => 0);
    let values: Record<string, number> = {};
    for (let pass = 0; pass < (method.passes ?? 1); ++pass)
      values = await this.#pass(step, pass, onPrompts);
    return values;
  }

  /** One optimizer step of an update. */
  async #pass(
    step: number,
    pass: number,
    onPrompts?: (done: number) => void,
  ): Promise<Record<string, number>> {
    using scope = tensorScope();
    void scope;
    this.#gatherWeights();
    const logged = await this.#accumulate(step, pass, onPrompts);
    const { device } = this.setup.trained;
    const began = performance.now();
    await range("reduce gradients", () => this.parts.sharding.reduceGradients());
    if (this.parts.ranks.size > 1) await synchronize(device);
    const waited = (performance.now() - began) / 1000;
    const norm = range("gradient norm", () => this.parts.sharding.gradNorm());
    const lr = this.config.lr * this.#schedule(step);
    const { maxGradNorm } = this.config;
    // The device goes on without us: of a norm that is not finite the step moves nothing.
    range("optimizer", () =>
      this.parts.optimizer.step({
        lr,
        gradNorm: norm,
        maxGradNorm: maxGradNorm > 0 ? maxGradNorm : undefined,
      }),
    );
    const found = await norm.item();
    if (!Number.isFinite(found)) throw await this.#notFinite(step, pass, found);
    range("ema", () => this.parts.ema?.update());
    this.parts.sharding.weightsMoved();
    await synchronize(device);
    const all = await this.parts.ranks.gather({ logged, waited });
    this.waited = this.waited.map((seconds, rank) => seconds + all[rank]!.waited);
    return { ...meansOf(all.map((one) => one.logged)), gradNorm: found, lr };
  }

  /** The weights of the update before, which come beside the forward that reads them. */
  #gatherWeights(): void {
    range("gather weights", () => this.parts.sharding.gatherWeights());
  }

  /** The gradient of the loss of this rank's prompts, in the model's gradients; returns the terms' metrics. */
  async #accumulate(
    step: number,
    pass: number,
    onPrompts?: (done: number) => void,
  ): Promise<Logged> {
    const { trained: parameters } = this.setup;
    const logged = new TermMetrics();
    this.parts.sharding.zeroGradients();
    let done = 0;
    let backwards = 0; // of a micro-batch
    const own = this.#microBatches();
    for (const samples of own) {
      using inner = tensorScope();
      void inner;
      const batch = await this.#batch(step, pass, samples);
      backwards = 0;
      for await (const term of this.method.terms(batch)) {
        ++backwards;
        range("backward", () => backward(term.loss, undefined, this.parts.sharding.watch));
        logged.add(term, { prompts: samples.length, share: batch.share });
        // One term's work in the queue at a time: its memory is what the next one takes, and launches do
        // not get so far ahead that the driver would make this thread wait.
        await synchronize(parameters.device);
      }
      onPrompts?.((done += samples.length));
    }
    const most = Math.ceil(
      this.parts.ranks.mostSamples(this.config.batch) / this.config.microBatch,
    );
    for (let i = own.length; i < most; ++i) this.parts.sharding.joinBackwards(backwards);
    return logged.read();
  }

  /** Why an update's gradient is not finite: it is computed once more, with an eye on every op. */
  async #notFinite(step: number, pass: number, norm: number): Promise<SrpoError> {
    const own = await this.#firstNotFinite(step, pass).catch(() => undefined);
    const all = await this.parts.ranks.gather(own);
    const rank = all.findIndex((found) => found !== undefined);
    const where = this.parts.ranks.size === 1 ? "" : `, on rank ${rank}`;
    const what =
      rank < 0 ? "" : `; the first output that is not finite is of ${all[rank]!}${where}`;
    return new SrpoError(
      "ERR_NOT_FINITE",
      `train: update ${step}: expected a finite gradient, got norm ${norm}${what}; the weights have not moved`,
    );
  }

  async #firstNotFinite(step: number, pass: number): Promise<string | undefined> {
    const op = await firstNotFinite(async () => void (await this.#accumulate(step, pass)));
    if (op !== undefined) return op;
    const [name, ...more] = await parametersNotFinite(this.setup.trained);
    if (name === undefined) return undefined;
    return `the gradient of ${name}${more.length > 0 ? ` and ${more.length} more parameters` : ""}`;
  }

  /** This rank's prompts of an update in groups of one forward. */
  #microBatches(): number[][] {
    const { batch, microBatch } = this.config;
    const samples = this.parts.ranks.samplesOf(batch);
    const groups: number[][] = [];
    for (let start = 0; start < samples.length; start += microBatch)
      groups.push(samples.slice(start, start + microBatch));
    return groups;
  }

  async #batch(step: number, pass: number, samples: readonly number[]): Promise<Batch> {
    const { data, clean } = this.setup;
    const places = samples.map((sample) => ((step - 1) * this.config.batch + sample) % data.size);
    const features: PromptFeatures = await range("texts", () => data.features(places));
    return {
      step,
      pass,
      captions: places.map((place) => data.captions[place]!),
      features,
      samples,
      share: samples.length / this.config.batch,
      ...(clean === undefined ? {} : { clean: await clean(places) }),
    };
  }
}
