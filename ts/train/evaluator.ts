import type { Policy } from "../methods/method.js";
import type { Flux } from "../models/flux/model.js";

/** Which way a figure is better. */
export type Better = "higher" | "lower";

/** What an evaluator looks at: the model as it is now. */
export interface Subject {
  model: Flux;
  /** The same at the run's picture size. */
  policy: Policy;
  /** Aborted when the run is to stop; `evaluate` then throws its reason. */
  signal: AbortSignal;
}

/**
 * Judges a model in training by other figures than the reward it is trained on: a second reward on held-out
 * prompts, or what is given from outside. The trainer knows nothing of how; what it is told never trains.
 */
export interface Evaluator {
  /** The figures that a run may be chosen by, and which way each is better. */
  readonly figures: Readonly<Record<string, Better>>;
  /** Those that progress tells. */
  readonly headline: readonly string[];
  /** Those figures and maybe others; the same for the same weights, whatever came before. */
  evaluate(subject: Subject): Promise<Readonly<Record<string, number>>>;
}
