import assert from "node:assert/strict";
import { suite } from "uvu";
import { float8FromFloats } from "../../ts/checkpoint/float8.js";
import { uniforms } from "../support/index.js";

/** The value of an E4M3 code, by its definition. */
function valueOf(code: number): number {
  const [sign, exponent, mantissa] = [code & 128 ? -1 : 1, (code >> 3) & 15, code & 7];
  return sign * (exponent === 0 ? mantissa * 2 ** -9 : (1 + mantissa / 8) * 2 ** (exponent - 7));
}

/** The code nearest to a value, by trying all of them; of two the even one. */
function nearest(value: number): number {
  let best = 0;
  for (let code = 0; code < 0x7f; ++code) {
    const closer =
      Math.abs(valueOf(code) - Math.abs(value)) - Math.abs(valueOf(best) - Math.abs(value));
    if (closer < 0 || (closer === 0 && code % 2 === 0)) best = code;
  }
  return best | (value < 0 || Object.is(value, -0) ? 0x80 : 0);
}

const bytes = (values: readonly number[]) => new Uint8Array(Float32Array.from(values).buffer);
const test = suite("8-bit floats");

test("every value, every middle between two, and random ones go to the nearest, ties to even", () => {
  const all = Array.from({ length: 0x7f }, (_, code) => valueOf(code));
  const middles = all.slice(1).map((value, i) => (value + all[i]!) / 2);
  const random = [...uniforms(2000, 3, -1, 1)].map((x, i) => Math.fround(x * 2 ** (8 - (i % 18))));
  const values = [448, ...all, ...middles, ...random, 0, -0, 2 ** -11, 2 ** -10, 3 * 2 ** -10];
  const signed = [...values, ...values.map((v) => -v)];
  const { bytes: codes, scale } = float8FromFloats("w", bytes(signed));
  assert.equal(scale, 1);
  signed.forEach((value, i) => assert.equal(codes[i], nearest(value), `${value}`));
});

test("the scale takes the largest to 448", () => {
  const { bytes: codes, scale } = float8FromFloats("w", bytes([0.5, -7, 3.5]));
  assert.equal(scale, Math.fround(7 / 448));
  assert.deepEqual([...codes].map(valueOf), [32, -448, 224]);
  assert.equal(float8FromFloats("w", bytes([0, 0])).scale, 1);
  assert.equal(float8FromFloats("w", bytes([1e-42])).scale, 1);
});

test("what is not finite, and what is not whole, is refused by name", () => {
  for (const value of [NaN, Infinity, -Infinity])
    assert.throws(() => float8FromFloats("a.weight", bytes([1, value])), {
      code: "ERR_NOT_FINITE",
      message: "float8: a.weight: expected finite weights, got one that is not",
    });
  assert.throws(() => float8FromFloats("a.weight", new Uint8Array(5)), /whole floats, got 5 bytes/);
});
test.run();
