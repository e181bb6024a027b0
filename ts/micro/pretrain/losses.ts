// Losses of pretraining, put together from ops.
import { add, exp, mean, mul, relu, scale, slice, sub } from "../../ops/index.js";
import type { LatentMoments } from "../../models/autoencoder/model.js";
import type { Tensor } from "../../tensor/tensor.js";

const square = (x: Tensor) => mul(x, x);

/** mean |d| */
export function meanAbsolute(d: Tensor): Tensor {
  return mean(add(relu(d), relu(scale(d, -1))));
}

/** Mean square of a picture's differences between neighbours, across and down: d is [B, H, W, C]. */
export function gradientSquare(d: Tensor): Tensor {
  const along = (dim: number) => {
    const n = d.dim(dim) - 1;
    return mean(square(sub(slice(d, dim, 1, n), slice(d, dim, 0, n))));
  };
  return add(along(1), along(2));
}

/** mean d^2 */
export function meanSquare(d: Tensor): Tensor {
  return mean(square(d));
}

/** KL divergence from the standard normal, mean over latents: (mean^2 + var - 1 - log var) / 2. */
export function divergence({ mean: mu, logVariance }: LatentMoments): Tensor {
  return scale(mean(sub(add(square(mu), exp(logVariance)), logVariance)), 0.5);
}
