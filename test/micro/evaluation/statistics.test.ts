// Saturation, contrast and texture of pictures whose values are known, and grids laid over real ones.
import assert from "node:assert/strict";
import { test } from "uvu";
import { statisticsOf } from "../../../ts/micro/evaluation/statistics.js";
import { PicturePool, side } from "../../../ts/micro/pretrain/pool.js";
import { uniforms } from "../../support/index.js";

type Pixel = (x: number, y: number, channel: number) => number;

function pictureOf(pixel: Pixel): Float32Array {
  return Float32Array.from({ length: side * side * 3 }, (_, i) =>
    pixel(Math.floor(i / 3) % side, Math.floor(i / 3 / side), i % 3),
  );
}

const near = (actual: number, expected: number, within = 1e-6) =>
  assert.ok(Math.abs(actual - expected) < within, `${actual}, expected ${expected}`);

test("grey has no saturation, an even picture no contrast, texture or grid", () => {
  const { saturation, ...rest } = statisticsOf(
    pictureOf(() => 0.5),
    0,
  );
  near(saturation, 0);
  for (const value of Object.values<number>(rest)) near(value, 0, 1e-7);
});

test("saturation is the distance from grey, contrast the luminance's deviation", () => {
  const red = statisticsOf(
    pictureOf((_x, _y, channel) => (channel === 0 ? 1 : 0)),
    0,
  );
  near(red.saturation, Math.sqrt((0.701 ** 2 + 2 * 0.299 ** 2) / 3));
  const halves = statisticsOf(
    pictureOf((x) => (x < side / 2 ? 0.2 : 0.6)),
    0,
  );
  near(halves.contrast, 0.2);
  near(halves.saturation, 0);
});

test("of an array's second picture", () => {
  const [a, b] = [pictureOf((x) => x / 64), pictureOf((_x, y) => (y % 3) / 4)];
  const both = new Float32Array([...a, ...b]);
  assert.deepEqual(statisticsOf(both, 0), statisticsOf(a, 0));
  assert.deepEqual(statisticsOf(both, a.length), statisticsOf(b, 0));
});

test("a faint grid over any drawn picture shows at its own period; noise and brightness do not", async () => {
  const pool = await PicturePool.draw("validation", 12);
  const places = Array.from({ length: pool.size }, (_, i) => i);
  const values = pool.values(places);
  const size = values.length / pool.size;
  const noise = uniforms(side * side, 3, -0.02, 0.02);
  /** Mean amplitudes over the pictures, something added to each. */
  const grids = (added: (x: number, y: number) => number) => {
    let [grid4, grid8] = [0, 0];
    for (const place of places) {
      const laid = pictureOf(
        (x, y, c) => values[place * size + 3 * (y * side + x) + c]! + added(x, y),
      );
      const found = statisticsOf(laid, 0);
      grid4 += found.grid4 / pool.size;
      grid8 += found.grid8 / pool.size;
    }
    return { grid4, grid8 };
  };
  const none = grids(() => 0);
  const four = grids((x, y) => (x % 4 === 0 || y % 4 === 0 ? 0.02 : 0));
  near(four.grid8, none.grid8, 0.0005);
  assert.ok(four.grid4 > none.grid4 + 0.003, `${four.grid4} after ${none.grid4}`);
  // Tiles of 8 in two shades: nothing repeats every 4.
  const eight = grids((x, y) => (((x >> 2) + (y >> 2)) % 2 === 0 ? 0.01 : -0.01));
  near(eight.grid4, none.grid4, 0.0005);
  assert.ok(eight.grid8 > 1.7 * none.grid8, `${eight.grid8} after ${none.grid8}`);
  for (const harmless of [
    grids((x, y) => noise[y * side + x]!),
    grids((x, y) => 0.1 + 0.001 * (x + y)),
  ]) {
    near(harmless.grid4, none.grid4, 0.001);
    near(harmless.grid8, none.grid8, 0.001);
  }
});

test.run();
