import type { Parameter } from "../../nn/parameter.js";
import { linearParameters, normal, normParameters } from "../../nn/parameter.js";
import { add, concat, reshape, relu, scale, slice, sub } from "../../ops/index.js";
import type { Padding } from "../../ops/index.js";
import type { Tensor } from "../../tensor/tensor.js";
import { outputsOf, pooledSize, trunk, type JudgeKind, type Layer } from "./config.js";

/** As much on each side as keeps the size, or halves it. */
export function paddingOf({ kernel }: Layer): Padding {
  const side = (kernel - 1) / 2;
  return [side, side, side, side];
}

function convolution({ name, from, to, kernel }: Layer): Parameter {
  const inputs = from * kernel * kernel;
  return normal(`${name}.weight`, [to, kernel, kernel, from], Math.sqrt(2 / inputs));
}

/** In training: convolutions without bias, each with a batch norm. */
export function trainingParameters(kind: JudgeKind): Parameter[] {
  return [
    ...trunk.flatMap((layer) => [
      convolution(layer),
      ...normParameters(`${layer.name}.norm`, layer.to),
    ]),
    ...linearParameters("head", pooledSize, outputsOf(kind)),
  ];
}

/** As kept: each norm folded into its convolution. */
export function foldedParameters(kind: JudgeKind): Parameter[] {
  return [
    ...trunk.flatMap((layer): Parameter[] => [
      convolution(layer),
      { name: `${layer.name}.bias`, shape: [layer.to], init: { kind: "zeros" } },
    ]),
    ...linearParameters("head", pooledSize, outputsOf(kind)),
  ];
}

/** The larger of two tensors, element by element; the gradient goes to b where they are equal. */
function larger(a: Tensor, b: Tensor): Tensor {
  return add(b, relu(sub(a, b)));
}

/** The halves of a dimension put together by f, until one is left. */
function fold(x: Tensor, dim: number, f: (a: Tensor, b: Tensor) => Tensor, until = 1): Tensor {
  let y = x;
  for (let n = y.dim(dim) / 2; n >= until; n /= 2) y = f(slice(y, dim, 0, n), slice(y, dim, n, n));
  return y;
}

/** [B, S, S, C] -> [B, 5C]: the largest of each channel, and its mean over each quarter. S is a power of 2. */
export function pool(x: Tensor): Tensor {
  const [B, S, , C] = x.shape as [number, number, number, number];
  const most = fold(reshape(x, [B, S * S, C]), 1, larger);
  const half = S / 2;
  const quarters = [0, half].flatMap((top) =>
    [0, half].map((left) => {
      const part = slice(slice(x, 1, top, half), 2, left, half);
      return scale(fold(reshape(part, [B, half * half, C]), 1, add), 1 / (half * half));
    }),
  );
  return reshape(concat([most, ...quarters], 1), [B, 5 * C]);
}
