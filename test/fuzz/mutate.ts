import { uniforms } from "../support/index.js";

/** Numbers in [0, 1) that a seed determines. */
export class Dice {
  #numbers: Float64Array;
  #used = 0;
  #seed: number;

  constructor(seed: number) {
    this.#seed = seed;
    this.#numbers = uniforms(4096, seed);
  }

  /** A whole number below n. */
  below(n: number): number {
    if (this.#used === this.#numbers.length) {
      this.#numbers = uniforms(4096, ++this.#seed * 7919);
      this.#used = 0;
    }
    return Math.min(n - 1, Math.floor(this.#numbers[this.#used++]! * n));
  }

  pick<T>(all: readonly T[]): T {
    return all[this.below(all.length)]!;
  }
}

const integers = [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff];

/** A whole number written over some bytes: lengths and offsets that lie. */
function overwritten(bytes: Buffer, dice: Dice): Buffer {
  const copy = Buffer.from(bytes);
  const width = dice.pick([1, 2, 4, 8]);
  const at = dice.below(Math.max(1, copy.length - width));
  const low = dice.pick([...integers, dice.below(copy.length + 2)]);
  for (let i = 0; i < width && at + i < copy.length; ++i)
    copy[at + i] = i < 4 ? (low >>> (8 * i)) & 0xff : dice.pick([0, 0, 0xff]);
  return copy;
}

/**
 * One to four changes of a good file: bytes flipped, cut out, doubled or moved, numbers overwritten, pieces that
 * mean something put in, the end cut off.
 */
export function mutated(good: Buffer, pieces: readonly Buffer[], dice: Dice): Buffer {
  let bytes: Buffer = Buffer.from(good);
  for (let change = dice.below(4); change >= 0; --change) {
    const at = dice.below(bytes.length + 1);
    const end = Math.min(bytes.length, at + dice.below(dice.pick([4, 40, 400])));
    const [before, between, after] = [
      bytes.subarray(0, at),
      bytes.subarray(at, end),
      bytes.subarray(end),
    ];
    switch (dice.below(8)) {
      case 0:
      case 1:
        if (at < bytes.length) bytes[at] = dice.below(256);
        break;
      case 2:
        bytes = overwritten(bytes, dice);
        break;
      case 3:
        bytes = Buffer.concat([before, after]);
        break;
      case 4:
        bytes = Buffer.concat([before, between, between, after]);
        break;
      case 5:
        bytes = Buffer.concat([
          before,
          dice.pick(pieces),
          dice.below(2) === 0 ? after : bytes.subarray(at),
        ]);
        break;
      case 6: {
        const to = dice.below(before.length + 1);
        bytes = Buffer.concat([before.subarray(0, to), between, before.subarray(to), after]);
        break;
      }
      default:
        if (dice.below(3) === 0) bytes = Buffer.from(before);
    }
  }
  return bytes;
}
