// Line charts as SVG, written by hand: no script, no font of their own, the same bytes for the same numbers.
import { html, type Content, type Html } from "./html.js";
import { ticksOf, type Ticks } from "./ticks.js";

export interface Series {
  name: string;
  points: readonly (readonly [x: number, y: number])[];
}

export interface ChartOptions {
  /** What is shown: the heading above it, and what a screen reader says. */
  title: string;
  /** What the horizontal axis counts. */
  x: string;
  series: readonly Series[];
  /** Values that the vertical scale holds in any case. */
  include?: readonly number[];
  width?: number;
  height?: number;
}

/** Colours that style.ts has for lines; more series begin again. */
export const seriesColours = 8;

const margin = { top: 12, bottom: 34, left: 52, right: 12 };
const letter = 6.6; // about a letter's width at the labels' size
const lineHeight = 15;
const mostDots = 30;

const round = (value: number) => String(Math.round(value * 10) / 10);

/** Heights of labels at their lines' ends, pushed apart so that none covers another. */
export function spread(
  wanted: readonly number[],
  gap: number,
  [top, bottom]: readonly [number, number],
): number[] {
  const order = wanted.map((_, i) => i).sort((a, b) => wanted[a]! - wanted[b]! || a - b);
  const placed = [...wanted];
  let least = top;
  for (const i of order) {
    placed[i] = Math.max(placed[i]!, least);
    least = placed[i] + gap;
  }
  let most = bottom;
  for (const i of order.toReversed()) {
    placed[i] = Math.min(placed[i]!, most);
    most = placed[i] - gap;
  }
  return placed;
}

interface Plot {
  x: (value: number) => number;
  y: (value: number) => number;
  left: number;
  right: number;
  top: number;
  bottom: number;
}

function axes(plot: Plot, across: Ticks, up: Ticks, name: string): Content {
  const { x, y, left, right, bottom } = plot;
  return [
    up.at.map(
      (value) =>
        html`<line
            class="grid"
            x1="${left}"
            x2="${round(right)}"
            y1="${round(y(value))}"
            y2="${round(y(value))}"
          /><text class="tick" text-anchor="end" x="${left - 8}" y="${round(y(value) + 4)}"
            >${up.say(value)}</text
          >`,
    ),
    across.at
      .filter((value) => x(value) <= right + 0.5)
      .map(
        (value) =>
          html`<text class="tick" text-anchor="middle" x="${round(x(value))}" y="${bottom + 17}"
            >${across.say(value)}</text
          >`,
      ),
    html`<text class="tick" text-anchor="end" x="${round(right)}" y="${bottom + 31}"
      >${name}</text
    >`,
  ];
}

function line({ points }: Series, colour: number, { x, y }: Plot): Content {
  const at = points
    .filter((point) => point.every(Number.isFinite))
    .map(([px, py]) => [round(x(px)), round(y(py))] as const);
  if (at.length === 0) return undefined;
  return [
    html`<polyline class="line s${colour}" points="${at.map((p) => p.join(",")).join(" ")}" />`,
    at.length <= mostDots &&
      at.map(([px, py]) => html`<circle class="dot s${colour}" cx="${px}" cy="${py}" r="2.6" />`),
  ];
}

/** One chart with a line a series, named at the lines' ends where there are several. */
export function lineChart(options: ChartOptions): Html {
  const { title, series, width = 460, height = 250, include = [] } = options;
  const points = series.flatMap((one) => one.points);
  const across = ticksOf(
    points.map(([px]) => px),
    { whole: true },
  );
  const up = ticksOf([...points.map(([, py]) => py), ...include]);
  const named = series.length > 1;
  const longest = Math.max(0, ...series.map(({ name }) => name.length));
  const plot: Plot = {
    left: margin.left,
    right: width - margin.right - (named ? 10 + longest * letter : 0),
    top: margin.top,
    bottom: height - margin.bottom,
    x: (value) =>
      plot.left +
      ((value - across.low) / (lastOf(points) - across.low || 1)) * (plot.right - plot.left),
    y: (value) => plot.bottom - ((value - up.low) / (up.high - up.low)) * (plot.bottom - plot.top),
  };
  const ends = series.map((one) => plot.y(one.points.at(-1)?.[1] ?? up.low));
  const labels = spread(ends, lineHeight, [plot.top + 4, plot.bottom]);
  return html`<figure class="chart">
    <figcaption>${title}</figcaption>
    <svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${title}">
      ${axes(plot, across, up, options.x)}${series.map((one, i) => line(one, i % seriesColours, plot))}${
        named &&
        series.map(
          (one, i) =>
            html`<text
              class="name s${i % seriesColours}"
              x="${round(plot.right + 8)}"
              y="${round(labels[i]! + 4)}"
              >${one.name}</text
            >`,
        )
      }
    </svg>
  </figure> `;
}

/** The last x of any series: lines end at the plot's edge, not at the next round number. */
function lastOf(points: readonly (readonly [number, number])[]): number {
  return points.reduce(
    (most, [px]) => (Number.isFinite(px) ? Math.max(most, px) : most),
    -Infinity,
  );
}
