import { native } from "../../native/binding.js";
import type { Tensor } from "../../tensor/tensor.js";

/**
 * `grad *= maxNorm / (norm + 1e-6)` where that is below 1, in place and on the device: nothing waits
 * for the norm. A norm that is not finite leaves the gradient as it is.
 *
 * @param grad - any shape, float32 or bfloat16
 * @param norm - [1], float32, `globalNorm`'s
 * @throws SrpoError ERR_SHAPE, ERR_DTYPE, ERR_DEVICE or ERR_RANGE, naming the argument
 * @see torch.nn.utils.clip_grad_norm_
 */
export function clip(grad: Tensor, norm: Tensor, maxNorm: number): void {
  native.clip(grad.handle, norm.handle, maxNorm);
}
