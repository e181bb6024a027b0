import { record } from "../../autograd/tape.js";
import { native } from "../../native/binding.js";
import type { Tensor } from "../../tensor/tensor.js";

/**
 * A picture's patches as tokens:
 * `y[b, i*(W/p) + j, c*p*p + r*p + s] = x[b, i*p + r, j*p + s, c]`, the channel order of a flattened
 * convolution weight [D, C, p, p].
 *
 * @param x - [B, H, W, C], float32 or bfloat16; H and W multiples of patch
 * @param patch - p, pixels along a side
 * @returns [B, (H/p)*(W/p), C*p*p]
 * @throws SrpoError ERR_SHAPE, ERR_DTYPE or ERR_RANGE, naming the argument
 */
export function patchify(x: Tensor, patch: number): Tensor {
  const y = native.patchify(x.handle, patch, "patchify", "x");
  return record("patchify", [x], y, (dy) => {
    const [, H, W] = x.shape;
    return [native.unpatchify(dy, H!, W!, patch, "patchify backward", "dy")];
  });
}

/**
 * A latent as FLUX's tokens: 2x2 patches, channel `c*4 + (row%2)*2 + col%2`.
 *
 * @param latent - [B, H, W, C], float32 or bfloat16; H and W even
 * @returns [B, (H/2)*(W/2), 4C]
 * @throws SrpoError ERR_SHAPE or ERR_DTYPE, naming the argument
 * @see flux/sampling.py prepare
 */
export function packLatent(latent: Tensor): Tensor {
  const y = native.patchify(latent.handle, 2, "packLatent", "latent");
  return record("packLatent", [latent], y, (dy) => {
    const [, H, W] = latent.shape;
    return [native.unpatchify(dy, H!, W!, 2, "packLatent backward", "dy")];
  });
}

/**
 * The latent that `packLatent` made these tokens of.
 *
 * @param packed - [B, (height/2)*(width/2), 4C], float32 or bfloat16
 * @param options.height - of the latent, even
 * @param options.width - of the latent, even
 * @returns [B, height, width, C]
 * @throws SrpoError ERR_SHAPE, ERR_DTYPE or ERR_RANGE, naming the argument
 */
export function unpackLatent(
  packed: Tensor,
  { height, width }: { height: number; width: number },
): Tensor {
  const y = native.unpatchify(packed.handle, height, width, 2, "unpackLatent", "packed");
  return record("unpackLatent", [packed], y, (dy) => [
    native.patchify(dy, 2, "unpackLatent backward", "dy"),
  ]);
}
