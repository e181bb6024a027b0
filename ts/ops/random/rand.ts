import type { DType } from "../../tensor/dtype.js";
import type { Tensor } from "../../tensor/tensor.js";
import { draw, type DrawOptions } from "./draw.js";

/**
 * Uniform numbers: the upper 24 bits of a Philox word, over 2^24. See `randn` for the names.
 *
 * @param options.dtype - float32 (default): in [0, 1); bfloat16: that, rounded, so that 1 occurs
 * @throws SrpoError ERR_RANGE for names out of range, ERR_SHAPE, ERR_DTYPE
 */
export function rand(shape: readonly number[], options: DrawOptions & { dtype?: DType }): Tensor {
  return draw("rand", shape, options, options.dtype ?? "float32");
}
