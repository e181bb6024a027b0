import assert from "node:assert/strict";
import { test } from "uvu";
import { lineChart, spread } from "../../ts/report/chart.js";
import { metricCharts, thinned } from "../../ts/report/metric_charts.js";
import { ticksOf } from "../../ts/report/ticks.js";
import { assertWellFormed } from "../support/pages.js";

const chart = (points: readonly (readonly [number, number])[], name = "a") =>
  lineChart({ title: "t", x: "updates", series: [{ name, points }] }).text;

test("marks are round, enclose the values and are written with the digits that they need", () => {
  const { at, low, high, say } = ticksOf([0.123, 0.377]);
  assert.deepEqual(at.map(say), ["0.10", "0.15", "0.20", "0.25", "0.30", "0.35", "0.40"]);
  assert.ok(low <= 0.123 && high >= 0.377);
  assert.deepEqual(ticksOf([0, 3], { whole: true }).at, [0, 1, 2, 3]);
  const wide = ticksOf([-3, 40_000_000]);
  assert.equal(wide.say(4e7), "4.0e+7");
  assert.equal(ticksOf([-1e-9, 1]).say(-0), "0.0");
});

test("marks of nothing, of one value and of values that are no numbers", () => {
  for (const values of [
    [],
    [5],
    [0],
    [-2, -2],
    [NaN, Infinity],
    [NaN, 1, -Infinity, 2],
    [1e300, 1e-300],
  ]) {
    const { at, low, high } = ticksOf(values);
    assert.ok(at.length >= 2 && at.length < 20, JSON.stringify(values));
    assert.ok(low < high && at.every(Number.isFinite), JSON.stringify(values));
  }
});

test("a chart has a point a value, leaves out what is no number, and is the same twice", () => {
  const text = chart([
    [0, 1],
    [1, NaN],
    [2, Infinity],
    [3, 2],
  ]);
  assertWellFormed(text);
  assert.equal(text.match(/<circle/g)?.length, 2);
  assert.ok(!/NaN|Infinity/.test(text));
  assert.equal(
    text,
    chart([
      [0, 1],
      [1, NaN],
      [2, Infinity],
      [3, 2],
    ]),
  );
  for (const points of [[], [[0, 0]], [[7, NaN]]] as const) {
    const one = chart(points);
    assertWellFormed(one);
    assert.ok(!/NaN|Infinity/.test(one), one);
  }
});

test("names of lines are escaped, and pushed apart where they would meet", () => {
  const series = ["<b>", "x", "y"].map((name) => ({
    name,
    points: [
      [0, 0],
      [1, 1],
    ] as const,
  }));
  const text = lineChart({ title: '"', x: "&", series }).text;
  assertWellFormed(text);
  assert.ok(text.includes("&lt;b&gt;"));
  const placed = spread([50, 50, 52, 199], 15, [0, 200]);
  const sorted = placed.toSorted((a, b) => a - b);
  sorted.slice(1).forEach((y, i) => assert.ok(y - sorted[i]! >= 15 - 1e-9));
  assert.ok(sorted[0]! >= 0 && sorted.at(-1)! <= 200);
});

test("terms of one quantity share a chart, reward first", () => {
  const rows = [1, 2].map((step) => ({
    step,
    gradNorm: 1,
    "denoise/reward": step,
    "inversion/reward": -step,
  }));
  const text = metricCharts(rows)!.text;
  assertWellFormed(text);
  assert.deepEqual(
    [...text.matchAll(/<figcaption>([^<]*)/g)].map(([, name]) => name),
    ["reward", "gradNorm"],
  );
  assert.equal(text.match(/<polyline/g)?.length, 3);
});

test("what evaluations found stands apart: a line a part of it", () => {
  const rows = [
    { step: 0, "eval/style/photo": 0.1, "eval/style/cg": 0.4, "eval/realism": 0.1 },
    { step: 1, loss: 1 },
  ];
  const text = metricCharts(rows, "evaluation")!.text;
  const titles = (page: string) =>
    [...page.matchAll(/<figcaption>([^<]*)/g)].map(([, name]) => name);
  assert.deepEqual(titles(text), ["style", "realism"]);
  assert.deepEqual(titles(metricCharts(rows)!.text), ["loss"]);
  assert.equal(metricCharts([{ step: 1, loss: 1 }], "evaluation"), undefined);
});

test("many points are averaged, the last one kept in place", () => {
  const points = Array.from({ length: 1001 }, (_, i) => [i, i] as const);
  const few = thinned(points, 100);
  assert.equal(few.length, 91);
  assert.deepEqual(few[0], [10, 5]);
  assert.deepEqual(few.at(-1), [1000, 995]);
  assert.equal(thinned(points.slice(0, 5), 100).length, 5);
});

test.run();
