import { record } from "../../autograd/tape.js";
import { native } from "../../native/binding.js";
import type { Tensor } from "../../tensor/tensor.js";

/**
 * Rows of length one: `y = x / max(||x||, eps)`.
 *
 * @param x - [B, D], float32 or bfloat16
 * @param options.eps - default 1e-12, torch.nn.functional.normalize's
 * @returns [B, D], dtype of x; the norm is summed in double
 * @throws SrpoError ERR_SHAPE, ERR_DTYPE or ERR_RANGE, naming the argument
 */
export function l2Normalize(x: Tensor, { eps = 1e-12 }: { eps?: number } = {}): Tensor {
  const [y, norm] = native.l2NormalizeForward(x.handle, eps);
  return record("l2Normalize", [x], y, (dy) => [
    native.l2NormalizeBackward(dy, x.handle, norm, eps),
  ]);
}
