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

/**
 * A chart a quantity, a line a term: `denoise/reward` and `inversion/reward` share the chart "reward".
 *
 * @param rows - of metrics.jsonl; a row need not have every name
 */
export function metricCharts(rows: readonly MetricsRow[]): Html {
  const charts = new Map<string, Map<string, (readonly [number, number])[]>>();
  for (const { step, ...values } of rows)
    for (const [name, value] of Object.entries(values)) {
      if (counted.has(name)) continue;
      const at = name.lastIndexOf("/");
      const quantity = name.slice(at + 1);
      const lines = charts.get(quantity) ?? new Map<string, (readonly [number, number])[]>();
      const points = lines.get(name.slice(0, Math.max(at, 0))) ?? [];
      points.push([step, value]);
      lines.set(name.slice(0, Math.max(at, 0)), points);
      charts.set(quantity, lines);
    }
  const names = [...charts.keys()];
  const order = [
    ...first.filter((name) => charts.has(name)),
    ...names.filter((n) => !first.includes(n)),
  ];
  return html`<div class="charts">
    ${order.map((quantity) =>
      lineChart({
        title: quantity,
        x: "updates",
        series: [...charts.get(quantity)!].map(([term, points]) => ({
          name: term === "" ? quantity : term,
          points: thinned(points, mostPoints),
        })),
      }),
    )}
  </div> `;
}
