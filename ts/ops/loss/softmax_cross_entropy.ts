import { record } from "../../autograd/tape.js";
import { native } from "../../native/binding.js";
import type { Tensor } from "../../tensor/tensor.js";

/**
 * The mean over the batch of `-log(softmax(logits)[target])`.
 *
 * @param logits - [B, C], float32 or bfloat16
 * @param target - [B], int32, each in [0, C)
 * @returns [1], float32; exponentials and sums in double
 * @throws SrpoError ERR_SHAPE, ERR_DTYPE or ERR_DEVICE, naming the argument; a target out of range is
 *   ERR_RANGE at the next wait
 */
export function softmaxCrossEntropy(logits: Tensor, target: Tensor): Tensor {
  const [y, lse] = native.softmaxCrossEntropyForward(logits.handle, target.handle);
  return record("softmaxCrossEntropy", [logits], y, (dy) => [
    native.softmaxCrossEntropyBackward(dy, logits.handle, target.handle, lse),
  ]);
}
