import assert from "node:assert/strict";
import { suite } from "uvu";
import { attributeNames, attributeValues, indicesOf } from "../../ts/micro/attributes.js";
import { balancedBlock, scenesOf, splits, type Split } from "../../ts/micro/scenes.js";
import { refuses } from "../support/index.js";

const test = suite("micro scenes");

test("every block of 120 has each value of an attribute equally often", () => {
  const scenes = scenesOf("training", 0, 3 * balancedBlock);
  for (let block = 0; block < 3; ++block)
    for (const name of attributeNames) {
      const values: readonly string[] = attributeValues[name];
      const counts = values.map(
        (value) =>
          scenes
            .slice(block * balancedBlock, (block + 1) * balancedBlock)
            .filter(({ attributes }) => attributes[name] === value).length,
      );
      assert.deepEqual(
        counts,
        values.map(() => balancedBlock / values.length),
      );
    }
});

test("attributes are independent of one another", () => {
  const scenes = scenesOf("training", 0, 100 * balancedBlock);
  const rows = scenes.map(({ attributes }) => indicesOf(attributes));
  for (let a = 0; a < attributeNames.length; ++a)
    for (let b = 0; b < a; ++b) {
      const sizes = [a, b].map((i) => attributeValues[attributeNames[i]!].length);
      const expected = rows.length / (sizes[0]! * sizes[1]!);
      const counts = new Float64Array(sizes[0]! * sizes[1]!);
      for (const row of rows) ++counts[row[a]! * sizes[1]! + row[b]!]!;
      // Six standard deviations of a count; balance makes it less.
      for (const count of counts)
        assert.ok(Math.abs(count - expected) < 6 * Math.sqrt(expected), `${count} of ${expected}`);
    }
});

test("scenes are the same however they are cut into calls", () => {
  assert.deepEqual(scenesOf("judging", 0, 400).slice(110, 250), scenesOf("judging", 110, 140));
  assert.deepEqual(scenesOf("judging", 7, 0), []);
});

test("splits and seeds have scenes of their own", () => {
  const numbers = Object.values(splits);
  assert.equal(new Set(numbers).size, numbers.length);
  const shown = (split: Split, seed: bigint) =>
    JSON.stringify(scenesOf(split, 0, 120, { seed }).map(({ attributes }) => attributes));
  const all = (Object.keys(splits) as Split[]).flatMap((split) =>
    [0n, 1n].map((seed) => shown(split, seed)),
  );
  assert.equal(new Set(all).size, all.length);
});

test("counts and numbers that cannot be are refused", () => {
  refuses(
    () => scenesOf("training", 0, -1),
    "ERR_RANGE",
    "scenesOf: count: expected a whole number, first + count up to 2^32, got -1",
  );
  refuses(
    () => scenesOf("training", 0.5, 1),
    "ERR_RANGE",
    "scenesOf: first: expected a whole number, first + count up to 2^32, got 0.5",
  );
  refuses(
    () => scenesOf("training", 2 ** 32, 1),
    "ERR_RANGE",
    "scenesOf: first: expected a whole number, first + count up to 2^32, got 4294967296",
  );
});

test.run();
