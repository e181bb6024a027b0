import type { Tensor } from "../../tensor/tensor.js";
import { draw, type DrawOptions } from "./draw.js";

/** The words of Philox themselves, int32: 32 random bits an element. See `randn` for the names. */
export function randomBits(shape: readonly number[], options: DrawOptions): Tensor {
  return draw("randomBits", shape, options, "int32");
}
