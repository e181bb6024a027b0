import { record } from "../../autograd/tape.js";
import { native } from "../../native/binding.js";
import type { Tensor } from "../../tensor/tensor.js";

/**
 * One row a sample: `y[b] = x[b, index[b]]`, as the end token of a text.
 *
 * @param x - [B, L, D], any dtype
 * @param index - B numbers from 0 to L - 1
 * @returns [B, D]
 * @throws SrpoError ERR_SHAPE for another number of indices; RangeError ERR_RANGE for a row that is
 *   not there
 */
export function gatherRows(x: Tensor, index: readonly number[]): Tensor {
  const y = native.gatherRowsForward(x.handle, index);
  const taken = [...index];
  return record("gatherRows", [x], y, (dy) => [native.gatherRowsBackward(dy, taken, x.dim(1))]);
}
