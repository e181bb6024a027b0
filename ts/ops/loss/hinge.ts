import { record } from "../../autograd/tape.js";
import { native } from "../../native/binding.js";
import type { Tensor } from "../../tensor/tensor.js";

/**
 * `weight * mean(relu(margin - reward))`: a reward above the margin is good enough.
 *
 * @param reward - [B], float32 or bfloat16
 * @param options.margin - default 0.7, SRPO's
 * @param options.weight - default 1; SRPO gives each of its two branches 1/2
 * @returns [1], float32; NaN if a reward is NaN. At `reward == margin` the gradient is 0
 * @throws SrpoError ERR_SHAPE or ERR_DTYPE, naming the argument
 * @see Tencent-Hunyuan/SRPO fastvideo/SRPO.py; arXiv:2509.06942
 */
export function hinge(
  reward: Tensor,
  { margin = 0.7, weight = 1 }: { margin?: number; weight?: number } = {},
): Tensor {
  return record("hinge", [reward], native.hingeForward(reward.handle, margin, weight), (dy) => [
    native.hingeBackward(dy, reward.handle, margin, weight),
  ]);
}
