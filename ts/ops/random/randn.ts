import type { DType } from "../../tensor/dtype.js";
import type { Tensor } from "../../tensor/tensor.js";
import { draw, type DrawOptions } from "./draw.js";

/**
 * Standard normal numbers, by Box-Muller from Philox4x32-10; element i of a sample comes from
 * `philox(counter = (i / 4, purpose, step, sample), key = seed)`.
 *
 * @param shape - up to 2^34 elements a sample
 * @param options - the names of the draw, see `DrawOptions`
 * @param options.dtype - float32 (default) or bfloat16, which is the float32 number rounded
 * @returns the same bits on every device and instruction set; at most 6.77 in size
 * @throws SrpoError ERR_RANGE for names out of range, ERR_SHAPE, ERR_DTYPE
 * @see Salmon et al., Parallel random numbers: as easy as 1, 2, 3, SC 2011
 * @example randn([1, 2025, 64], { seed: 42n, purpose: purposes.rolloutNoise, step: 1, sample: 0 })
 */
export function randn(shape: readonly number[], options: DrawOptions & { dtype?: DType }): Tensor {
  return draw("randn", shape, options, options.dtype ?? "float32");
}
