import { record } from "../../autograd/tape.js";
import { native } from "../../native/binding.js";
import type { Tensor } from "../../tensor/tensor.js";

/**
 * The mean square of a difference, `mean((a - b)^2)`, over all elements.
 *
 * @param a - any shape, float32 or bfloat16
 * @param b - shape and dtype of a
 * @returns [1], float32; summed in double over fixed blocks
 * @throws SrpoError ERR_SHAPE, ERR_DTYPE or ERR_DEVICE, naming the argument
 */
export function mse(a: Tensor, b: Tensor): Tensor {
  return record("mse", [a, b], native.mseForward(a.handle, b.handle), (dy) =>
    native.mseBackward(dy, a.handle, b.handle, a.requiresGrad, b.requiresGrad),
  );
}
