// Every method and ablation, over seeds: what `srpo-native demo --compare` does.
import path from "node:path";
import { replaceFile } from "../../checkpoint/durable.js";
import { encodePng } from "../../data/png.js";
import { rowSheet } from "../../report/sheet.js";
import { originOf } from "../../train/origin.js";
import { flatFigures } from "../evaluation/figures.js";
import { runArm } from "./arm.js";
import { comparePage, partsOf, rowsOf, type Comparison } from "./compare_page.js";
import { meanAndDeviation } from "./figures.js";
import type { Lab } from "./lab.js";
import type { ArmResult } from "./result.js";
import type { Arm, Options } from "./settings.js";

export interface CompareRun {
  arms: readonly Arm[];
  seeds: readonly string[];
  updates: number;
  /** Laid over every arm's settings. */
  options: Options;
}

/** The runs of an arm that is judged; undefined if the signal came first. */
async function runsOf(lab: Lab, arm: Arm, run: CompareRun): Promise<ArmResult[] | undefined> {
  const results: ArmResult[] = [];
  // Untrained is the same for every seed.
  const seeds = arm.options === undefined ? run.seeds.slice(0, 1) : run.seeds;
  for (const [i, seed] of seeds.entries()) {
    // Curves are drawn of the first seed.
    const budget = i === 0 ? lab.budget : { ...lab.budget, lookEvery: 0 };
    const { options, updates } = run;
    const one = { arm, seed, updates, options, keepCheckpoint: false };
    const result = await runArm({ ...lab, budget }, one);
    if (result === undefined) return undefined;
    results.push(result);
  }
  return results;
}

/** What compare.json has: everything that was measured, and what it was measured with. */
export function compareJson({ origin, seeds, arms }: Comparison): object {
  return {
    ...origin,
    seeds,
    weights: arms[0]?.results[0]?.weights,
    budget: arms[0]?.results[0]?.budget,
    arms: arms.map(({ arm, results }) => {
      const runs = results.map(({ seed, figures, cost, curve }) => ({
        seed,
        figures: flatFigures(figures),
        cost,
        curve,
      }));
      const over = (of: (figures: Record<string, number>) => number) =>
        meanAndDeviation(runs.map(({ figures }) => of(figures)));
      const names = Object.keys(runs[0]?.figures ?? {});
      return {
        name: arm.name,
        title: arm.title,
        about: arm.about,
        updates: results[0]?.updates,
        options: results[0]?.options,
        over: Object.fromEntries(names.map((name) => [name, over((figures) => figures[name]!)])),
        runs,
      };
    }),
  };
}

/**
 * Runs what is not yet there, and writes compare.json, methods.png, ablations.png and report.html.
 *
 * @returns undefined if the signal came first: call it again to go on
 */
export async function compare(lab: Lab, run: CompareRun): Promise<Comparison | undefined> {
  const arms: { arm: Arm; results: readonly ArmResult[] }[] = [];
  for (const arm of run.arms) {
    const results = await runsOf(lab, arm, run);
    if (results === undefined) return undefined;
    arms.push({ arm, results });
  }
  const comparison: Comparison = { origin: originOf(), seeds: run.seeds, arms };
  const write = (name: string, bytes: Buffer) =>
    replaceFile(path.join(lab.place, name), (sink) => sink.write(bytes));
  await write("compare.json", Buffer.from(`${JSON.stringify(compareJson(comparison), null, 2)}\n`));
  for (const part of partsOf(comparison)) {
    const sheet = rowSheet(rowsOf(part.arms), 2);
    await write(`${part.name}.png`, encodePng(sheet, { Software: "srpo-native" }));
  }
  await write("report.html", Buffer.from(comparePage(comparison)));
  return comparison;
}
