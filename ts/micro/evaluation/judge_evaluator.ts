// What `train --keep-best realism` asks of a micro folder: its judges as an evaluator, which the trainer is given.
import { existsSync } from "node:fs";
import path from "node:path";
import type { FluxPolicy } from "../../methods/flux_policy.js";
import type { Better, Evaluator, Subject } from "../../train/evaluator.js";
import { attributeNames } from "../attributes.js";
import { evaluate, type EvaluateOptions } from "./evaluate.js";
import { flatFigures } from "./figures.js";
import { openMicroWorld, type MicroWorld, type WorldOptions } from "./world.js";

/** Whether a model's folder brings judges. */
export function hasJudges(folder: string): boolean {
  return existsSync(path.join(folder, "judges"));
}

const figures: Readonly<Record<string, Better>> = {
  realism: "higher",
  alignment: "higher",
  hacked: "lower",
  hackedInStyle: "lower",
  artefacts: "lower",
  lost: "lower",
  grid4: "lower",
  grid8: "lower",
  diversity: "higher",
  reward: "higher",
  sgp: "higher",
  ...Object.fromEntries(attributeNames.map((name) => [`finds/${name}`, "higher" as const])),
};

/** The judges of a micro folder, on its tuning prompts: results are for the reporting ones. */
export class JudgeEvaluator implements Evaluator {
  readonly figures = figures;
  readonly headline = ["realism", "alignment", "hacked"];
  #policy: FluxPolicy | undefined;

  private constructor(
    readonly world: MicroWorld,
    readonly options: EvaluateOptions,
    readonly ownsWorld: boolean,
  ) {}

  /** On a world that is open already, and stays its owner's. */
  static on(world: MicroWorld, options: EvaluateOptions = {}): JudgeEvaluator {
    return new JudgeEvaluator(world, { split: "tuning", ...options }, false);
  }

  /** @throws SrpoError ERR_CHECKPOINT, ERR_CONFIG */
  static async open(
    folder: string,
    { dtype, ...options }: EvaluateOptions & WorldOptions = {},
  ): Promise<JudgeEvaluator> {
    const world = await openMicroWorld(folder, dtype === undefined ? {} : { dtype });
    return new JudgeEvaluator(world, { split: "tuning", ...options }, true);
  }

  async evaluate({ model, signal }: Subject): Promise<Record<string, number>> {
    // At the size that the judges see, whatever the run's.
    if (this.#policy?.model !== model) {
      this.#policy?.disposeTables();
      this.#policy = this.world.policyOf(model);
    }
    const { figures: found } = await evaluate(this.world, this.#policy, {
      ...this.options,
      signal,
    });
    return flatFigures(found);
  }

  dispose(): void {
    this.#policy?.disposeTables();
    if (this.ownsWorld) this.world.dispose();
  }
}
