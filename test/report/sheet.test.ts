import assert from "node:assert/strict";
import { test } from "uvu";
import { decodePng, encodePng } from "../../ts/data/png.js";
import { Canvas } from "../../ts/report/canvas.js";
import { letterRows, wrapped } from "../../ts/report/font.js";
import { pairSheet, rowSheet } from "../../ts/report/sheet.js";
import { vocabulary } from "../../ts/micro/captions.js";

const plain = (value: number) => ({ width: 8, height: 8, rgb: new Uint8Array(192).fill(value) });

test("every letter of the micro world's captions is drawn, and no two alike", () => {
  const letters = [...new Set(vocabulary.join(""))];
  const box = letterRows("\u2603").join();
  const seen = new Map(letters.map((letter) => [letterRows(letter).join(), letter]));
  assert.equal(seen.size, letters.length);
  for (const letter of letters) assert.notEqual(letterRows(letter).join(), box, letter);
  // A name of every object is no letter.
  assert.equal(letterRows("constructor").join(), box);
});

test("lines break between words, and within one that is too long", () => {
  assert.deepEqual(wrapped("a big  blue cube", 8), ["a big", "blue", "cube"]);
  assert.deepEqual(wrapped("abcdefghij", 4), ["abcd", "efgh", "ij"]);
  assert.deepEqual(wrapped(" \n ", 4), []);
});

test("a canvas cuts off what falls outside it", () => {
  const canvas = new Canvas(4, 4, [0, 0, 0]);
  canvas.picture(2, -6, plain(9), 1);
  canvas.text(-3, 2, "MMM", 2, [7, 7, 7]);
  canvas.fill(3, 3, 100, 100, [1, 2, 3]);
  assert.deepEqual([...canvas.rgb.subarray(45)], [1, 2, 3]);
  assert.deepEqual([...canvas.rgb.subarray(9, 12)], [9, 9, 9]);
});

test("pairs: before left, after right, the pictures' own dots, readable again as PNG", () => {
  const pairs = Array.from({ length: 4 }, () => ({
    caption: "a big blue cube",
    before: plain(10),
    after: plain(200),
  }));
  const picture = pairSheet(pairs, { columns: 3, scale: 3 });
  assert.equal(picture.width, 10 + 3 * (18 * 3 + 10));
  const { rgb, width } = decodePng(encodePng(picture));
  const at = (x: number, y: number) => rgb[(y * width + x) * 3];
  assert.equal(at(12, 35), 10);
  assert.equal(at(10 + 10 * 3 + 1, 35), 200);
  assert.ok(
    Buffer.from(picture.rgb).equals(Buffer.from(pairSheet(pairs, { columns: 3, scale: 3 }).rgb)),
  );
  assert.deepEqual([pairSheet([]).width, pairSheet([]).height], [1, 1]);
});

test("rows: a name left of each, captions beneath the last", () => {
  const rows = ["base", "SRPO"].map((name, i) => ({
    name,
    pictures: [plain(50 * i), plain(50 * i)],
  }));
  const picture = rowSheet({ captions: ["x", "y"], rows }, 2);
  assert.equal(picture.width, 10 + (4 * 6 + 10) + 2 * (16 + 10));
  assert.equal(picture.height, 10 + 26 + 16 + 14 + 10);
});

test.run();
