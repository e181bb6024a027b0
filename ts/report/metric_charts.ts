import type { MetricsRow } from "../train/metrics.js";
import { lineChart, type Series } from "./chart.js";
import { html, type Html } from "./html.js";

// More points than a screen has dots for are averaged.
const mostPoints = 400;

/** Means of so many neighbours that at most `most` points are left. */
export function thinned(points: Series["points"], most: number): Series["points"] {
  const each = Math.ceil(points.length / most);
  if (each <= 1) return points;
  return Array.from({ length: Math.ceil(points.length / each) }, (_, i) => {
    const own = points.slice(i * each, (i + 1) * each);
    const y = own.reduce((sum, point) => sum + point[1], 0) / own.length;
    return [own.at(-1)![0], y] as const;
  });
}

// What comes first; the rest follows by its first appearance.
const first = ["reward", "loss"];
// What an update costs is the same at each: the page says its sum.
const counted = new Set(["forwards", "backwards"]);

/** What `train` puts before the figures of its evaluations. */
const evaluated = "eval/";

/** Which chart a value is drawn in, and which line of it: `denoise/reward`, but `eval/style/photo`. */
function placeOf(name: string): { chart: string; line: string } {
  if (!name.startsWith(evaluated)) {
    const at = name.lastIndexOf("/");
    return { chart: name.slice(at + 1), line: name.slice(0, Math.max(at, 0)) };
  }
  const [chart = "", ...line] = name.slice(evaluated.length).split("/");
  return { chart, line: line.join("/") };
}

/**
 * A chart a quantity, a line a term: `denoise/reward` and `inversion/reward` share the chart "reward".
 *
 * @param rows - of metrics.jsonl; a row need not have every name
 * @param of - what the run trains on, or what its evaluations found
 */
export function metricCharts(
  rows: readonly MetricsRow[],
  of: "training" | "evaluation" = "training",
): Html | undefined {
  const charts = new Map<string, Map<string, (readonly [number, number])[]>>();
  for (const { step, ...values } of rows)
    for (const [name, value] of Object.entries(values)) {
      if (counted.has(name) || name.startsWith(evaluated) !== (of === "evaluation")) continue;
      const { chart, line } = placeOf(name);
      const lines = charts.get(chart) ?? new Map<string, (readonly [number, number])[]>();
      lines.set(line, [...(lines.get(line) ?? []), [step, value]]);
      charts.set(chart, lines);
    }
  if (charts.size === 0) return undefined;
  const names = [...charts.keys()];
  const order = [
    ...first.filter((name) => charts.has(name)),
    ...names.filter((name) => !first.includes(name)),
  ];
  return html`<div class="charts">
    ${order.map((chart) =>
      lineChart({
        title: chart,
        x: "updates",
        series: [...charts.get(chart)!].map(([line, points]) => ({
          name: line === "" ? chart : line,
          points: thinned(points, mostPoints),
        })),
      }),
    )}
  </div> `;
}
