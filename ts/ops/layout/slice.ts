import { record } from "../../autograd/tape.js";
import { native } from "../../native/binding.js";
import type { Tensor } from "../../tensor/tensor.js";

/**
 * Part of a tensor along one dimension. Where that part lies in one piece (no dimension above 1
 * before `dim`) the result shares memory with x, as reshape does; else it is a copy.
 *
 * @param x - any shape and dtype
 * @param dim - negative counts from the end
 * @param start - the first index, from 0
 * @param length - how many, at least 1
 * @throws SrpoError ERR_RANGE for what x does not have, naming the argument
 * @example const img = slice(x, 1, txtLength, imgLength);
 */
export function slice(x: Tensor, dim: number, start: number, length: number): Tensor {
  const { shape } = x;
  const y = native.sliceForward(x.handle, dim, start, length);
  return record("slice", [x], y, (dy) => [native.sliceBackward(dy, shape, dim, start)]);
}
