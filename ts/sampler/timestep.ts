import { roundToBFloat16 } from "../tensor/dtype.js";

/**
 * How a noise level becomes the timestep that the network embeds:
 *
 *   integer    trunc(1000 sigma) in float32: the SRPO and DanceGRPO code
 *   exact      1000 sigma
 *   reference  integer, then rounded to bfloat16 before and after the multiplication by 1000, guidance
 *              likewise: the official code under bf16 autocast
 */
export type TimestepRounding = "integer" | "exact" | "reference";

export const timestepRoundings: readonly TimestepRounding[] = ["integer", "exact", "reference"];

/** trunc(1000 sigma), with the product in float32. */
export function integerTimestep(sigma: number): number {
  return Math.trunc(Math.fround(1000 * Math.fround(sigma)));
}

/**
 * What the model's `timestep` input gets, in [0, 1]: the network multiplies it by 1000 again.
 *
 * @param sigma - [0, 1], 1 is pure noise
 */
export function timestepInput(sigma: number, rounding: TimestepRounding): number {
  if (rounding === "exact") return Math.fround(sigma);
  const input = Math.fround(integerTimestep(sigma) / 1000);
  return rounding === "integer" ? input : roundToBFloat16(input);
}
