import { record } from "../../autograd/tape.js";
import { native } from "../../native/binding.js";
import type { Tensor } from "../../tensor/tensor.js";

/**
 * A picture as a reward model takes it: bicubic resize, centre crop, `(x - mean) / std` per channel.
 * Values are not clamped; nothing is resized where the size fits already.
 *
 * @param image - [B, H, W, C], float32 or bfloat16, usually RGB in [0, 1]. A bfloat16 image is
 *   resized in float32 and rounded before it is normalised, as torchvision does
 * @param options.size - side of the result
 * @param options.antialias - torch's antialiased kernel (a = -0.5, widened when shrinking), the default
 *   of current torchvision for tensors; false is the older one (a = -0.75, four taps)
 * @param options.crop - true: the short side becomes size, the long one trunc(size * long / short), and
 *   the middle is cut out (round half to even); false: both sides become size
 * @param options.pad - the long side becomes size instead and the picture stands amid zeros, as in the
 *   HPSv2 scoring script
 * @param options.mean - per channel; default 0
 * @param options.std - per channel; default 1
 * @returns [B, size, size, C], dtype of image; sums in float32. The gradient is the transposed taps
 * @throws SrpoError ERR_SHAPE, ERR_DTYPE or ERR_RANGE, naming the argument
 * @see torchvision resize, center_crop and normalize on tensors
 */
export function resizeCropNormalize(
  image: Tensor,
  {
    size,
    antialias = true,
    crop = true,
    pad = false,
    mean,
    std,
  }: {
    size: number;
    antialias?: boolean;
    crop?: boolean;
    pad?: boolean;
    mean?: readonly number[];
    std?: readonly number[];
  },
): Tensor {
  const fit = pad ? "pad" : crop ? "crop" : "stretch";
  const channels = image.shape.at(-1) ?? 0;
  const centre = mean ?? Array.from({ length: channels }, () => 0);
  const deviation = std ?? Array.from({ length: channels }, () => 1);
  const y = native.resizeCropNormalizeForward(
    image.handle,
    size,
    fit,
    antialias,
    centre,
    deviation,
  );
  return record("resizeCropNormalize", [image], y, (dy) => [
    native.resizeCropNormalizeBackward(dy, image.shape, fit, antialias, deviation),
  ]);
}
