import { record, weightGradient } from "../../autograd/tape.js";
import { native } from "../../native/binding.js";
import type { Tensor } from "../../tensor/tensor.js";

/**
 * One row before the rows of every sample, as a vision transformer's class token.
 *
 * @param x - [B, L, D], float32 or bfloat16
 * @param row - [D], dtype of x; its gradient is summed over the samples in float32
 * @returns [B, L + 1, D]
 * @throws SrpoError ERR_SHAPE, ERR_DTYPE or ERR_DEVICE, naming the argument
 */
export function prependRow(x: Tensor, row: Tensor): Tensor {
  const y = native.prependRowForward(x.handle, row.handle);
  return record("prependRow", [x, row], y, (dy) => {
    const drow = weightGradient(row);
    return [native.prependRowBackward(drow.into, dy, x.requiresGrad), drow.result];
  });
}
