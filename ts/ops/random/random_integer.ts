// Draws of single numbers, on the host and from the same Philox words as the devices' tensors.
import { SrpoError } from "../../native/error.js";
import type { DrawKey } from "./draw.js";

export interface HostDraw extends DrawKey {
  /** 0 to 2^32 - 1, the sample's number over all ranks. */
  sample: number;
}

type Words = [number, number, number, number];

/** The 64-bit product of two words: its high and its low half. */
function product(a: number, b: number): [high: number, low: number] {
  const [a1, a0, b1, b0] = [a >>> 16, a & 0xffff, b >>> 16, b & 0xffff];
  const middle = a1 * b0 + Math.floor((a0 * b0) / 65536);
  const upper = Math.floor(middle / 65536);
  const carry = Math.floor(((middle % 65536) + a0 * b1) / 65536);
  return [(a1 * b1 + upper + carry) >>> 0, Math.imul(a, b) >>> 0];
}

/** Philox4x32-10, one draw of four words; cpp/core/random.h has the same. */
export function philox4x32(counter: Words, seed: bigint): Words {
  let [key0, key1] = [Number(seed & 0xffffffffn), Number(seed >> 32n)];
  let words = counter;
  for (let round = 0; round < 10; ++round) {
    const [high0, low0] = product(0xd2511f53, words[0]);
    const [high1, low1] = product(0xcd9e8d57, words[2]);
    words = [(high1 ^ words[1] ^ key0) >>> 0, low1, (high0 ^ words[3] ^ key1) >>> 0, low0];
    key0 = (key0 + 0x9e3779b9) >>> 0;
    key1 = (key1 + 0xbb67ae85) >>> 0;
  }
  return words;
}

/** The words of a draw in the order in which `randomBits` has them. */
function* wordsOf({ seed, purpose, step, sample }: HostDraw): Generator<number, never> {
  for (const [name, value] of Object.entries({ purpose, step, sample }))
    if (!Number.isInteger(value) || value < 0 || value > 0xffffffff)
      throw new SrpoError(
        "ERR_RANGE",
        `randomInteger: ${name}: expected 0 to 2^32 - 1, got ${value}`,
      );
  if (seed < 0n || seed >= 1n << 64n)
    throw new SrpoError("ERR_RANGE", `randomInteger: seed: expected 0 to 2^64 - 1, got ${seed}`);
  for (let group = 0; ; ++group) yield* philox4x32([group >>> 0, purpose, step, sample], seed);
}

/**
 * Endless integers, each uniform in [low, high], both ends included. Words that would favour some
 * results are passed over, so that there is no bias at all.
 *
 * @throws SrpoError ERR_RANGE unless low and high are integers, low <= high < low + 2^32
 */
export function* randomIntegers(
  low: number,
  high: number,
  key: HostDraw,
): Generator<number, never> {
  const count = high - low + 1;
  if (
    !Number.isSafeInteger(low) ||
    !Number.isSafeInteger(high) ||
    !(count >= 1 && count <= 2 ** 32)
  )
    throw new SrpoError(
      "ERR_RANGE",
      `randomInteger: high: expected an integer from ${low} to ${low} + 2^32 - 1, got ${high}`,
    );
  const limit = 2 ** 32 - (2 ** 32 % count);
  const words = wordsOf(key);
  while (true) {
    const { value } = words.next();
    if (value < limit) yield low + (value % count);
  }
}

/**
 * An integer, uniform in [low, high], both ends included, named as a tensor's draw is.
 *
 * @example // SRPO's timestep index of one prompt
 * randomInteger(5, 995, { seed, purpose: purposes.timestepIndex, step, sample })
 */
export function randomInteger(low: number, high: number, key: HostDraw): number {
  return randomIntegers(low, high, key).next().value;
}

/** The integers 0 to count - 1 in random order (Fisher-Yates), named as a tensor's draw is. */
export function randomPermutation(count: number, key: HostDraw): number[] {
  const order = Array.from({ length: count }, (_, i) => i);
  const words = wordsOf(key);
  for (let i = count - 1; i > 0; --i) {
    const limit = 2 ** 32 - (2 ** 32 % (i + 1));
    let word = words.next().value;
    while (word >= limit) word = words.next().value;
    const j = word % (i + 1);
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}
