import { record } from "../../autograd/tape.js";
import { native } from "../../native/binding.js";
import type { Tensor } from "../../tensor/tensor.js";

/**
 * The log density of x under a Gaussian, a sample at a time, as the mean over its elements of
 * `-(x - mean)^2 / (2 std^2) - log(std) - log(2 pi) / 2`.
 *
 * @param x - [B, ...], float32 or bfloat16
 * @param mean - shape and dtype of x
 * @param options.std - B numbers above 0
 * @returns [B], float32; summed in double over fixed blocks. The gradient reaches x and mean
 * @throws SrpoError ERR_SHAPE, ERR_DTYPE, ERR_DEVICE or ERR_RANGE, naming the argument
 * @see XueZeyue/DanceGRPO fastvideo/train_grpo_flux.py: the mean, where Flow-GRPO has it too
 */
export function gaussianLogDensity(
  x: Tensor,
  mean: Tensor,
  { std }: { std: readonly number[] },
): Tensor {
  const y = native.gaussianLogDensityForward(x.handle, mean.handle, std);
  return record("gaussianLogDensity", [x, mean], y, (dy) =>
    native.gaussianLogDensityBackward(
      dy,
      x.handle,
      mean.handle,
      std,
      x.requiresGrad,
      mean.requiresGrad,
    ),
  );
}
