import type { Table } from "../../report/table.js";
import { figures, headOf, say, sayRuns } from "./figures.js";
import type { ArmResult } from "./result.js";

const thousands = (value: number) => Math.round(value).toLocaleString("en-US");

/** One run beside the base model: a figure a row. */
export function beforeAfterTable(base: ArmResult, after: ArmResult): Table {
  const rows = figures.map((figure) => {
    const unit = figure.form === "share" ? " %" : "";
    const text = (result: ArmResult) => `${say(figure.of(result.figures), figure.form)}${unit}`;
    return [figure.name, text(base), text(after), figure.about];
  });
  const { forwards, backwards, seconds } = after.cost;
  return {
    columns: [
      { name: "" },
      { name: "before", align: "right" },
      { name: "after", align: "right" },
      { name: "what it is", prose: true },
    ],
    rows: [
      ...rows,
      ["updates", "", String(after.updates), ""],
      ["forwards", "", thousands(forwards), "pictures through the transformer while training"],
      ["backwards", "", thousands(backwards), "of those, with a gradient"],
      ["seconds", "", seconds.toFixed(1), "of training"],
    ],
    strong: new Set([figures.findIndex(({ name }) => name === "realism")]),
  };
}

/** All runs of an arm, a seed each; the base model has one that stands for all. */
export interface ArmRuns {
  title: string;
  results: readonly ArmResult[];
}

/** A method a row, mean ± standard deviation over its seeds: the form of the paper's Table 1. */
export function methodTable(all: readonly ArmRuns[], strong: ReadonlySet<number>): Table {
  const rows = all.map(({ title, results }) => {
    const mean = (of: (result: ArmResult) => number) =>
      results.reduce((sum, result) => sum + of(result), 0) / results.length;
    const trained = results.some(({ updates }) => updates > 0);
    const cost = (of: (result: ArmResult) => number, digits = 0) =>
      !trained ? "" : digits === 0 ? thousands(mean(of)) : mean(of).toFixed(digits);
    return [
      title,
      ...figures.map((figure) =>
        sayRuns(
          results.map((result) => figure.of(result.figures)),
          figure.form,
        ),
      ),
      cost(({ updates }) => updates),
      cost((result) => result.cost.forwards),
      cost((result) => result.cost.backwards),
      cost((result) => result.cost.seconds, 1),
    ];
  });
  return {
    columns: [
      { name: "" },
      ...figures.map((figure) => ({
        name: headOf(figure),
        align: "right" as const,
        about: figure.about,
      })),
      { name: "updates", align: "right" },
      { name: "forwards", align: "right", about: "pictures through the transformer" },
      { name: "backwards", align: "right", about: "of those, with a gradient" },
      { name: "seconds", align: "right", about: "of training, on this machine" },
    ],
    rows,
    strong,
  };
}
