import { alias, record, weightGradient } from "../../autograd/tape.js";
import { native } from "../../native/binding.js";
import type { Tensor } from "../../tensor/tensor.js";

/**
 * The same rows added to every sample, as a position embedding: `y[b] = x[b] + rows`.
 *
 * @param x - [B, L, D], float32 or bfloat16
 * @param rows - [L, D], dtype of x; its gradient is summed over the samples in float32
 * @returns [B, L, D]
 * @throws SrpoError ERR_SHAPE, ERR_DTYPE or ERR_DEVICE, naming the argument
 */
export function addRows(x: Tensor, rows: Tensor): Tensor {
  const y = native.addRowsForward(x.handle, rows.handle);
  return record("addRows", [x, rows], y, (dy) => {
    const drows = weightGradient(rows);
    if (drows.into !== null) native.addRowsBackward(drows.into, dy);
    return [x.requiresGrad ? alias(dy) : null, drows.result];
  });
}
