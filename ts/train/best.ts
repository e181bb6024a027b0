// Which checkpoint of a run is the best, by a figure of an evaluator and conditions on others.
import { existsSync } from "node:fs";
import * as fs from "node:fs/promises";
import path from "node:path";
import { syncFolder, temporaryBeside, writeError } from "../checkpoint/durable.js";
import { stepName } from "../checkpoint/folder.js";
import { SrpoError } from "../native/error.js";
import type { Better } from "./evaluator.js";
import { hintFor } from "./schema.js";

type Figures = Readonly<Record<string, number>>;

/** `alignment>=base-0.02`: a figure against a number, or against what it was before training. */
interface Condition {
  text: string;
  figure: string;
  sign: ">=" | "<=";
  base: boolean;
  /** Added to the base; without one, the bound itself. */
  offset: number;
}

const conditionForm = /^(\S+?)\s*(>=|<=)\s*(?:(base)\s*(?:([+-]\s*[\d.]+))?|(-?[\d.]+))$/;

function conditionOf(text: string): Condition {
  const [, figure, sign, base, offset, bound] = conditionForm.exec(text) ?? [];
  const number = Number((bound ?? offset ?? "0").replaceAll(/\s/g, ""));
  if (figure === undefined || !Number.isFinite(number))
    throw new SrpoError(
      "ERR_CONFIG",
      `keepIf: expected conditions as "alignment>=base-0.02" or "hacked<=0.1", got "${text}"`,
    );
  return { text, figure, sign: sign as ">=" | "<=", base: base !== undefined, offset: number };
}

/** What a checkpoint is chosen by. */
export interface Criterion {
  figure: string;
  better: Better;
  conditions: readonly Condition[];
}

/**
 * @param keepBest - a figure's name
 * @param keepIf - conditions on this and other figures
 * @param figures - those that there are
 * @throws SrpoError ERR_CONFIG for a figure that is not there, with the names of those that are
 */
export function criterionOf(
  keepBest: string,
  keepIf: readonly string[],
  figures: Readonly<Record<string, Better>>,
): Criterion {
  const names = Object.keys(figures);
  const known = (option: string, name: string): Better => {
    if (Object.hasOwn(figures, name)) return figures[name]!;
    throw new SrpoError(
      "ERR_CONFIG",
      `${option}: expected one of ${names.join(", ")}, got ${name}${hintFor(name, names)}`,
    );
  };
  const conditions = keepIf.map(conditionOf);
  for (const { figure } of conditions) known("keepIf", figure);
  return { figure: keepBest, better: known("keepBest", keepBest), conditions };
}

/** What of the choice a resumed run goes on with. */
export interface BestState {
  /** The figures before the first update. */
  base: Figures;
  best: { step: number; value: number } | undefined;
  /** Evaluations since the best one, or since the beginning. */
  since: number;
}

/** Follows a run's figures; a checkpoint is the best only if it is better than no training. */
export class BestTracker {
  #state: BestState | undefined;

  constructor(
    readonly criterion: Criterion,
    state?: BestState,
  ) {
    this.#state = state;
  }

  get state(): BestState | undefined {
    return this.#state;
  }

  /** Takes the figures of a step, the first ones for the base; whether it is the best so far. */
  note(step: number, figures: Figures): boolean {
    const { figure, better } = this.criterion;
    const value = figures[figure] ?? Number.NaN;
    const state = this.#state;
    if (state === undefined) {
      this.#state = { base: { ...figures }, best: undefined, since: 0 };
      return false;
    }
    const before = state.best?.value ?? state.base[figure]!;
    const ahead = better === "higher" ? value > before : value < before;
    if (ahead && this.criterion.conditions.every((one) => this.#holds(one, figures))) {
      this.#state = { ...state, best: { step, value }, since: 0 };
      return true;
    }
    this.#state = { ...state, since: state.since + 1 };
    return false;
  }

  #holds({ figure, sign, base, offset }: Condition, figures: Figures): boolean {
    const bound = base ? this.#state!.base[figure]! + offset : offset;
    const value = figures[figure]!;
    return sign === ">=" ? value >= bound : value <= bound;
  }
}

/**
 * Points `checkpoints/best` to a step's checkpoint, by one rename: whoever looks finds the one before or this
 * one. Nothing if the checkpoint is not there: a run that goes on from an earlier one arrives at it again.
 */
export async function markBest(checkpoints: string, step: number): Promise<void> {
  const place = path.join(checkpoints, "best");
  const target = stepName(step);
  if (!existsSync(path.join(checkpoints, target))) return;
  if ((await fs.readlink(place).catch(() => undefined)) === target) return;
  const temporary = temporaryBeside(place);
  try {
    await fs.symlink(target, temporary);
    await fs.rename(temporary, place);
    await syncFolder(checkpoints);
  } catch (error) {
    await fs.rm(temporary, { force: true }).catch(() => {});
    throw writeError(place, error);
  }
}
