import { record } from "../../autograd/tape.js";
import { native } from "../../native/binding.js";
import type { Tensor } from "../../tensor/tensor.js";

/**
 * The clean latent that Direct-Align recovers from one model step of known noise, ready for the
 * decoder: `z = (clean + g * (velocity - (noise - clean))) / scalingFactor + shiftFactor`, unpacked.
 * For a step sigmaA -> sigmaB, `g = (sigmaB - sigmaA) / (1 - sigmaB)`: negative where the step
 * denoises, positive where it inverts. An exact model gives back `clean` whatever g is.
 *
 * The gradient flows to velocity only, `g / scalingFactor * dz`: clean and noise are constants.
 *
 * @param clean - [B, L, 4C] packed latent, scaled as the transformer sees it; float32 or bfloat16
 * @param noise - [B, L, 4C], float32 or bfloat16; the noise that was mixed in
 * @param velocity - [B, L, 4C], float32 or bfloat16
 * @param options.g - one number a sample
 * @param options.height - of the latent, even; L = height/2 * width/2
 * @param options.width - of the latent, even
 * @param options.scalingFactor - of the autoencoder; 0.3611 for FLUX.1
 * @param options.shiftFactor - of the autoencoder; 0.1159 for FLUX.1
 * @returns [B, height, width, C], dtype of velocity; arithmetic in float32
 * @throws SrpoError ERR_SHAPE, ERR_DTYPE, ERR_DEVICE or ERR_RANGE, naming the argument
 * @see SRPO, arXiv:2509.06942, Direct-Align
 */
export function recover(
  clean: Tensor,
  noise: Tensor,
  velocity: Tensor,
  {
    g,
    height,
    width,
    scalingFactor,
    shiftFactor,
  }: {
    g: readonly number[];
    height: number;
    width: number;
    scalingFactor: number;
    shiftFactor: number;
  },
): Tensor {
  const z = native.recoverForward(
    clean.handle,
    noise.handle,
    velocity.handle,
    g,
    height,
    width,
    scalingFactor,
    shiftFactor,
  );
  return record("recover", [velocity], z, (dz) => [native.recoverBackward(dz, g, scalingFactor)]);
}
