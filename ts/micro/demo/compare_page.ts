// report.html of a comparison: tables in the form of the paper's Table 1, a row of pictures a method, curves.
import { lineChart } from "../../report/chart.js";
import { html, type Content } from "../../report/html.js";
import { originLines } from "../../report/origin.js";
import { commandLine, facts, page, section } from "../../report/page.js";
import { pictureRows, type PictureRows } from "../../report/pictures.js";
import { htmlTable, type Table } from "../../report/table.js";
import type { Origin } from "../../train/origin.js";
import { judgedBy } from "./demo_page.js";
import { figures } from "./figures.js";
import type { ArmResult, CurvePoint } from "./result.js";
import type { Arm } from "./settings.js";
import { methodTable } from "./tables.js";

export interface Comparison {
  origin: Origin;
  seeds: readonly string[];
  /** The arms in order, each with its runs; the base model first. */
  arms: readonly { arm: Arm; results: readonly ArmResult[] }[];
}

const shownColumns = 6;

/**
 * The arms of each part: the methods, and SRPO with parts changed, beneath the base model and SRPO itself. A part
 * without arms of its own is left out.
 */
export function partsOf({
  arms,
}: Comparison): { name: Arm["group"]; heading: string; arms: Comparison["arms"] }[] {
  const of = (group: Arm["group"]) => arms.filter(({ arm }) => arm.group === group);
  const [methods, ablations] = [of("methods"), of("ablations")];
  const whole = methods.filter(({ arm }) => arm.name === "base" || arm.name === "srpo");
  const parts = [
    { name: "methods" as const, heading: "Methods", arms: methods },
    {
      name: "ablations" as const,
      heading: "SRPO with parts changed",
      arms: [...whole, ...ablations],
    },
  ];
  return parts.filter(({ name }) => of(name).length > 0);
}

/** A table a part. */
export function tablesOf(comparison: Comparison): { heading: string; table: Table }[] {
  return partsOf(comparison).map(({ heading, arms }) => {
    const named = arms.map(({ arm, results }) => ({ title: arm.title, results }));
    const strong = new Set(arms.flatMap(({ arm }, i) => (arm.name === "srpo" ? [i] : [])));
    return { heading, table: methodTable(named, strong) };
  });
}

/** A row a method, its first seed; a column a prompt. */
export function rowsOf(arms: Comparison["arms"]): PictureRows {
  const captions = arms[0]?.results[0]?.captions.slice(0, shownColumns) ?? [];
  return {
    captions,
    rows: arms.map(({ arm, results }) => ({
      name: arm.title,
      pictures: results[0]!.pictures.slice(0, shownColumns),
    })),
  };
}

function curves(arms: Comparison["arms"]): Content {
  const drawn = arms.filter(({ results }) => results[0]!.curve.length > 1);
  if (drawn.length === 0) return undefined;
  const chart = (title: string, value: (point: CurvePoint) => number, include: number[] = []) =>
    lineChart({
      title,
      x: "updates",
      include,
      series: drawn.map(({ arm, results }) => ({
        name: arm.title,
        points: results[0]!.curve.map((point) => [point.step, value(point)] as const),
      })),
    });
  return html`<div class="charts">
    ${chart("realism", (p) => p.realism, [0])}${chart("reward", (p) => p.reward)}${chart(
      "alignment",
      (p) => p.alignment,
      [0.9, 1],
    )}${chart("hacked", (p) => p.hacked, [0])}
  </div>`;
}

/** The page of a comparison. */
export function comparePage(comparison: Comparison): string {
  const { origin, arms, seeds } = comparison;
  const [first] = arms;
  return page({
    title: "SRPO and its rivals on the micro world",
    lead: `Mean ± standard deviation over ${seeds.length} seeds (${seeds.join(", ")}); the same prompts and noise for every row.`,
    body: [
      commandLine(origin.command),
      tablesOf(comparison).map(({ heading, table }) => section(heading, htmlTable(table))),
      html`<div class="glossary">
        ${facts([
          ...figures.map(({ name, about }) => [name, about] as const),
          ...arms.map(({ arm }) => [arm.title, arm.about] as const),
        ])}
      </div>`,
      section(
        "Pictures",
        html`<p>The first prompts of the split, none chosen; seed ${seeds[0]}.</p>`,
        pictureRows(rowsOf(arms)),
      ),
      partsOf(comparison).map((part) =>
        section(`Over the updates: ${part.heading}`, curves(part.arms)),
      ),
      section(
        "Settings",
        facts([
          ...(first === undefined ? [] : [["judged by", judgedBy(first.results[0]!)] as const]),
          ...arms.map(
            ({ arm, results }) => [arm.title, JSON.stringify(results[0]!.options)] as const,
          ),
        ]),
      ),
    ],
    foot: originLines(origin),
    wide: true,
  });
}
