import { linearLayer } from "../nn/layers.js";
import type { ParameterSet } from "../nn/parameter_set.js";
import { cast, patchify, slice } from "../ops/index.js";
import type { Tensor } from "../tensor/tensor.js";

/** What a convolution of stride `patch` sees: the last pixels that fill no patch are left out. */
function wholePatches(x: Tensor, patch: number): Tensor {
  return [1, 2].reduce((part, dim) => {
    const left = part.dim(dim) % patch;
    return left === 0 ? part : slice(part, dim, 0, part.dim(dim) - left);
  }, x);
}

/**
 * A vision transformer's first layer: a convolution whose stride is its size, as a product.
 *
 * @param pixels - [B, H, W, 3]
 * @param name - of its weight, [width, 3 * patch * patch] in memory, without `.weight`; its bias where declared
 * @returns [B, floor(H / patch) * floor(W / patch), width], the weights' dtype
 */
export function patchEmbedding(
  w: ParameterSet,
  name: string,
  pixels: Tensor,
  patch: number,
): Tensor {
  return linearLayer(w, name, patchify(wholePatches(cast(pixels, w.dtype), patch), patch));
}
