import type { LinearOptions } from "../ops/gemm/linear.js";
import { conv2d, groupNorm, layerNorm, linear } from "../ops/index.js";
import type { Tensor } from "../tensor/tensor.js";
import type { ParameterSet } from "./parameter_set.js";

/** `NAME.weight` and, where it was declared, `NAME.bias` applied to x; see `linear`. */
export function linearLayer(
  w: ParameterSet,
  name: string,
  x: Tensor,
  options: LinearOptions = {},
): Tensor {
  const bias = w.has(`${name}.bias`) ? w.get(`${name}.bias`) : null;
  return linear(x, w.get(`${name}.weight`), bias, options);
}

/** Layer norm with `NAME.weight` and `NAME.bias`. */
export function layerNormLayer(w: ParameterSet, name: string, x: Tensor, eps: number): Tensor {
  return layerNorm(x, w.get(`${name}.weight`), w.get(`${name}.bias`), { eps });
}

/** Convolution of [B, H, W, C] with `NAME.weight` and `NAME.bias`; see `conv2d`. */
export function convolutionLayer(
  w: ParameterSet,
  name: string,
  x: Tensor,
  options: Parameters<typeof conv2d>[3] = {},
): Tensor {
  return conv2d(x, w.get(`${name}.weight`), w.get(`${name}.bias`), options);
}

/** Group norm of [B, H, W, C] with `NAME.weight` and `NAME.bias`; see `groupNorm`. */
export function groupNormLayer(
  w: ParameterSet,
  name: string,
  x: Tensor,
  options: Parameters<typeof groupNorm>[3],
): Tensor {
  return groupNorm(x, w.get(`${name}.weight`), w.get(`${name}.bias`), options);
}
