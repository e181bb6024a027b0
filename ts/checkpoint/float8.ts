import { native } from "../native/binding.js";

/** 8-bit floats and the one factor that they are multiplied by. */
export interface Float8 {
  readonly bytes: Uint8Array;
  readonly scale: number;
}

/**
 * Float32 values as F8_E4M3 with a scale that takes the largest to 448: rounded to nearest, ties to even; at most
 * 1/16 off, below 2^-6 of the scale half of 2^-9 of it.
 *
 * @param name - for messages
 * @param floats - the bytes of float32 values
 * @throws SrpoError ERR_NOT_FINITE for a value that is none
 */
export function float8FromFloats(name: string, floats: Uint8Array): Float8 {
  return native.float8Encode(name, floats);
}
