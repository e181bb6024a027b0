import assert from "node:assert/strict";
import { philox4x32 } from "../../../ts/ops/random/random_integer.js";
import {
  purposes,
  randomBits,
  randomInteger,
  randomIntegers,
  randomPermutation,
} from "../../../ts/ops/index.js";
import { forEachDevice, refuses } from "../../support/index.js";

const key = { seed: 0xfedcba9876543210n, purpose: purposes.timestepIndex, step: 5, sample: 11 };

function take(count: number, from: Iterator<number>): number[] {
  return Array.from({ length: count }, () => from.next().value as number);
}

forEachDevice("randomInteger", (test, device) => {
  test("the host draws the words that the device draws", async () => {
    const drawn = await randomBits([4096], { ...key, device }).readBytes();
    const bits = [...new Uint32Array(drawn)];
    const host = take(4096, randomIntegers(0, 2 ** 32 - 1, key));
    assert.deepEqual(host, bits);
    assert.deepEqual(
      philox4x32([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], 0x299f31d0a4093822n),
      [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
    );
  });

  test("integers are uniform, both ends included", () => {
    const [low, high, n] = [5, 995, 200_000];
    const counts = new Map<number, number>();
    const draws = randomIntegers(low, high, key);
    for (const value of take(n, draws)) counts.set(value, (counts.get(value) ?? 0) + 1);
    const cells = high - low + 1;
    assert.equal(Math.min(...counts.keys()), low);
    assert.equal(Math.max(...counts.keys()), high);
    let chi2 = 0;
    for (let v = low; v <= high; ++v) chi2 += ((counts.get(v) ?? 0) - n / cells) ** 2 / (n / cells);
    assert.ok(Math.abs(chi2 - (cells - 1)) < 5 * Math.sqrt(2 * cells), `chi squared ${chi2}`);
  });

  test("a range that does not divide 2^32 has no bias", () => {
    // Three quarters of 2^32: the plain remainder would give the lower third twice its share.
    const n = 20_000;
    const draws = take(n, randomIntegers(0, 3 * 2 ** 30 - 1, key));
    const lower = draws.filter((v) => v < 2 ** 30).length;
    assert.ok(Math.abs(lower - n / 3) < 5 * Math.sqrt((n * 2) / 9), `${lower} of ${n}`);
  });

  test("an integer depends on its name alone", () => {
    const m = randomInteger(5, 995, key);
    assert.equal(randomInteger(5, 995, { ...key }), m);
    const others = Array.from({ length: 32 }, (_, sample) =>
      randomInteger(5, 995, { ...key, sample }),
    );
    assert.ok(new Set(others).size > 20);
    assert.equal(randomInteger(-3, -3, key), -3);
  });

  test("a permutation has every number once", () => {
    const order = randomPermutation(1000, key);
    assert.deepEqual(
      [...order].sort((a, b) => a - b),
      Array.from({ length: 1000 }, (_, i) => i),
    );
    assert.ok(order.filter((v, i) => v === i).length < 10);
    assert.deepEqual(randomPermutation(1000, key), order);
  });

  test("what is no range is refused", () => {
    refuses(
      () => randomInteger(3, 2, key),
      "ERR_RANGE",
      "randomInteger: high: expected an integer from 3 to 3 + 2^32 - 1, got 2",
    );
    refuses(
      () => randomInteger(0, 1, { ...key, step: -1 }),
      "ERR_RANGE",
      "randomInteger: step: expected 0 to 2^32 - 1, got -1",
    );
    refuses(
      () => randomInteger(0, 1, { ...key, seed: -1n }),
      "ERR_RANGE",
      "randomInteger: seed: expected 0 to 2^64 - 1, got -1",
    );
  });
});
