// When a run is evaluated, and what follows from it: rows of figures, the best checkpoint, an early end.
import { SrpoError } from "../native/error.js";
import { BestTracker, criterionOf, type BestState, type Criterion } from "./best.js";
import type { TrainConfig } from "./config.js";
import type { Better, Evaluator, Subject } from "./evaluator.js";
import type { MetricsLog, MetricsRow } from "./metrics.js";
import type { Progress } from "./progress.js";
import type { Ranks } from "./ranks.js";

// Where the option is not given: the published runs were best after about 10 updates.
const everyByDefault = 5;

/** Updates between evaluations; 0 for a run without. */
export function evaluationEvery({ evalEvery, keepBest, evalReward }: TrainConfig): number {
  return evalEvery ?? (keepBest !== undefined || evalReward !== undefined ? everyByDefault : 0);
}

/**
 * Before anything is loaded: whether what the run is to be judged by is there.
 *
 * @param figures - of its evaluator; undefined without one
 * @returns what its best checkpoint is chosen by, if by anything
 * @throws SrpoError ERR_CONFIG
 */
export function checkEvaluation(
  config: TrainConfig,
  figures: Readonly<Record<string, Better>> | undefined,
): Criterion | undefined {
  const { keepBest, keepIf, patience } = config;
  const every = evaluationEvery(config);
  if (keepBest === undefined) {
    const needs = keepIf === undefined ? (patience > 0 ? "patience" : undefined) : "keepIf";
    if (needs !== undefined)
      throw new SrpoError(
        "ERR_CONFIG",
        `${needs}: expected keepBest beside it, the figure to choose by, got none`,
      );
  } else if (every === 0) {
    throw new SrpoError("ERR_CONFIG", "evalEvery: expected 1 or more with keepBest, got 0");
  }
  if (every > 0 && figures === undefined)
    throw new SrpoError(
      "ERR_CONFIG",
      `${keepBest === undefined ? "evalEvery" : "keepBest"}: expected something to judge the model by, got none; ` +
        "name a second reward by --eval-reward, or a model folder with judges/, as pretrain micro makes it",
    );
  return keepBest === undefined ? undefined : criterionOf(keepBest, keepIf ?? [], figures!);
}

/** What of its evaluations a resumed run goes on with; part of training.json. */
export interface EvaluationState {
  /** The last step that was evaluated. */
  step: number;
  best?: BestState;
}

/** Before the names of figures in metrics.jsonl. */
const prefix = "eval/";

/** A run's evaluations. */
export class Evaluations {
  readonly #every: number;
  readonly #tracker: BestTracker | undefined;
  #last: number;

  constructor(
    readonly config: TrainConfig,
    /** Undefined on ranks that do not evaluate. */
    readonly evaluator: Evaluator | undefined,
    criterion: Criterion | undefined,
    state?: EvaluationState,
  ) {
    this.#every = evaluationEvery(config);
    this.#tracker = criterion && new BestTracker(criterion, state?.best);
    this.#last = state?.step ?? -1;
  }

  /** What a checkpoint keeps; undefined before the first evaluation. */
  get state(): EvaluationState | undefined {
    if (this.#last < 0) return undefined;
    const best = this.#tracker?.state;
    return { step: this.#last, ...(best && { best }) };
  }

  /** The step of the best checkpoint, once there is one. */
  get bestStep(): number | undefined {
    return this.#tracker?.state?.best?.step;
  }

  /** Whether the best is so long ago that training ends. */
  get exhausted(): boolean {
    const { patience } = this.config;
    return patience > 0 && (this.#tracker?.state?.since ?? 0) >= patience;
  }

  /** Whether a row of metrics.jsonl is one that a run in this state has written. */
  knows(row: MetricsRow): boolean {
    return row.step <= this.#last || !Object.keys(row).some((name) => name.startsWith(prefix));
  }

  /** Whether a step's model is to be evaluated. */
  isDue(step: number): boolean {
    return step > this.#last && (step % this.#every === 0 || step === this.config.steps);
  }

  /**
   * Evaluates the model if it is time to, on the first rank; nothing if the signal comes before it is done.
   *
   * @returns whether the step's checkpoint is to be kept: it is the best so far
   */
  async at(
    step: number,
    subject: Subject,
    {
      metrics,
      progress,
      ranks,
    }: { metrics: MetricsLog | undefined; progress: Progress | undefined; ranks: Ranks },
  ): Promise<boolean> {
    if (!this.isDue(step)) return false;
    progress?.update(step, "evaluating");
    const figures = await ranks.first(() => this.#figuresOf(subject));
    if (figures === undefined) return false;
    const named = Object.entries(figures).map(([name, value]) => [`${prefix}${name}`, value]);
    metrics?.write({ step, ...(Object.fromEntries(named) as Record<string, number>) });
    this.#last = step;
    const best = this.#tracker?.note(step, figures) ?? false;
    progress?.say(this.#line(step, figures, best));
    return best;
  }

  async #figuresOf(subject: Subject): Promise<Readonly<Record<string, number>> | undefined> {
    const { signal } = subject;
    if (signal.aborted) return undefined;
    try {
      return await this.evaluator!.evaluate(subject);
    } catch (error) {
      if (signal.aborted && error === signal.reason) return undefined;
      throw error;
    }
  }

  #line(step: number, figures: Readonly<Record<string, number>>, best: boolean): string {
    const chosen = this.#tracker?.criterion;
    const names = new Set([
      ...(chosen === undefined ? [] : [chosen.figure, ...chosen.conditions.map((c) => c.figure)]),
      ...(this.evaluator?.headline ?? []),
    ]);
    const told = [...names].map((name) => `${name} ${(figures[name] ?? NaN).toFixed(4)}`);
    return `step ${step}: ${told.join("  ")}${best ? "  (the best so far)" : ""}`;
  }

  /** What to say of the choice when the run ends; nothing where there is none. */
  conclusion(): string[] {
    const state = this.#tracker?.state;
    if (this.#tracker === undefined || state === undefined) return [];
    const { figure, better } = this.#tracker.criterion;
    const before = state.base[figure]!.toFixed(4);
    return [
      ...(this.exhausted
        ? [`early end: no better ${figure} in the last ${state.since} evaluations`]
        : []),
      state.best === undefined
        ? `best: none; no checkpoint has a ${better} ${figure} than before training, ${before}`
        : `best: step ${state.best.step}, ${figure} ${state.best.value.toFixed(4)} (before training ${before}): checkpoints/best`,
    ];
  }
}
