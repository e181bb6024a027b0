import type { QkvNormRopeOptions } from "../ops/attention/qkv_norm_rope.js";
import type { LinearOptions } from "../ops/gemm/linear.js";
import type { MlpOptions } from "../ops/gemm/mlp.js";
import {
  add,
  attention,
  attentionMlp,
  concat,
  conv2d,
  gatedResidual,
  gelu,
  groupNorm,
  layerNorm,
  linear,
  linearPair,
  mlp,
  mlpPair,
  qkvNormRope,
  qkvProjection,
  silu,
} from "../ops/index.js";
import type { Tensor } from "../tensor/tensor.js";
import type { ParameterSet } from "./parameter_set.js";

/** `residual + gate act(x wT + b + delta)`: as `linear`, for a layer with an adapter. */
function adapted(
  x: Tensor,
  [w, b, delta]: readonly [Tensor, Tensor | null, Tensor],
  { act = "none", residual, gate }: LinearOptions,
): Tensor {
  const z = add(linear(x, w, b), delta);
  const y = activated(z, act);
  if (residual === undefined || residual === null) return y;
  return gate === undefined || gate === null ? add(residual, y) : gatedResidual(residual, gate, y);
}

function activated(z: Tensor, act: NonNullable<LinearOptions["act"]>): Tensor {
  switch (act) {
    case "none":
      return z;
    case "silu":
      return silu(z);
    case "gelu-tanh":
      return gelu(z, "tanh");
    case "gelu-erf":
      return gelu(z, "erf");
    case "quick-gelu":
      return gelu(z, "quick");
  }
}

/** `NAME.weight` and, where it was declared, `NAME.bias` applied to x; see `linear`. */
export function linearLayer(
  w: ParameterSet,
  name: string,
  x: Tensor,
  options: LinearOptions = {},
): Tensor {
  const weight = w.get(`${name}.weight`);
  const bias = biasOf(w, name);
  const delta = w.adapter?.delta(`${name}.weight`, x, 0, weight.dim(0));
  return delta === undefined
    ? linear(x, weight, bias, options)
    : adapted(x, [weight, bias, delta], options);
}

/** What a layer is applied to, with what its end takes. */
export interface LayerOf extends Omit<LinearOptions, "act"> {
  name: string;
  x: Tensor;
}

const biasOf = (w: ParameterSet, name: string) =>
  w.has(`${name}.bias`) ? w.get(`${name}.bias`) : null;

/** `linearLayer` of two streams, each with weights of its own; see `linearPair`. */
export function linearLayerPair(
  w: ParameterSet,
  both: readonly [LayerOf, LayerOf],
): [Tensor, Tensor] {
  if (!both.every(({ name }) => isPlain(w, name))) {
    const [first, second] = both.map(({ name, x, ...end }) => linearLayer(w, name, x, end));
    return [first!, second!];
  }
  const [first, second] = both.map(({ name, ...stream }) => ({
    ...stream,
    w: w.get(`${name}.weight`),
    b: biasOf(w, name),
  }));
  return linearPair(first!, second!);
}

/** Whether the layer is `linear` on whole weights whose gradients, if any, are sums. */
function isPlain(w: ParameterSet, name: string): boolean {
  const weight = `${name}.weight`;
  return (
    w.adapter === undefined && w.coded?.has(weight) !== true && w.get(weight).factors === undefined
  );
}

/** Layers `up` and `down` with the activation between them; see `mlp`. */
export function mlpLayers(
  w: ParameterSet,
  [up, down]: readonly [up: string, down: string],
  x: Tensor,
  { act, ...options }: MlpOptions,
): Tensor {
  if (![up, down].every((name) => isPlain(w, name)))
    return linearLayer(w, down, linearLayer(w, up, x, { act }), options);
  const [first, second] = layersOf(w, [up, down]);
  return mlp(x, first, second, { act, ...options });
}

const layersOf = (w: ParameterSet, [up, down]: readonly [up: string, down: string]) => {
  const layer = (name: string) => [w.get(`${name}.weight`), biasOf(w, name)] as const;
  return [layer(up), layer(down)] as const;
};

/** What two layers with an activation between them are applied to, with what their end takes. */
export interface MlpOf extends Omit<LayerOf, "name"> {
  names: readonly [up: string, down: string];
}

/** `mlpLayers` of two streams, each with weights of its own; see `mlpPair`. */
export function mlpLayersPair(
  w: ParameterSet,
  both: readonly [MlpOf, MlpOf],
  { act }: Pick<MlpOptions, "act">,
): [Tensor, Tensor] {
  if (!both.every(({ names }) => names.every((name) => isPlain(w, name)))) {
    const [first, second] = both.map(({ names, x, ...end }) =>
      mlpLayers(w, names, x, { act, ...end }),
    );
    return [first!, second!];
  }
  const [first, second] = both.map(({ names, ...stream }) => {
    const [up, down] = layersOf(w, names);
    return { ...stream, up, down };
  });
  return mlpPair(first!, second!, { act });
}

/**
 * Attention, and rows [start, start + count) of layer `up` with the activation behind them, side by side under
 * layer `down`; see `attentionMlp`.
 */
export function attentionMlpLayers(
  w: ParameterSet,
  heads: readonly [q: Tensor, k: Tensor, v: Tensor],
  x: Tensor,
  [up, down]: readonly [up: { name: string; start: number; count: number }, down: string],
  { act, ...options }: MlpOptions,
): Tensor {
  const { name, start, count } = up;
  if (![name, down].every((each) => isPlain(w, each))) {
    const hidden = linearRows(w, name, x, { start, count, act });
    return linearLayer(w, down, concat([attention(...heads), hidden], 2), options);
  }
  const [first, second] = [
    [w.rows(`${name}.weight`, start, count), w.rows(`${name}.bias`, start, count)] as const,
    [w.get(`${down}.weight`), w.get(`${down}.bias`)] as const,
  ];
  return attentionMlp(heads, x, first, second, { act, ...options });
}

/** Rows [start, start + count) of `NAME.weight` and `NAME.bias` applied to x: a part of a fused layer. */
export function linearRows(
  w: ParameterSet,
  name: string,
  x: Tensor,
  { start, count, ...options }: LinearOptions & { start: number; count: number },
): Tensor {
  const weight = w.rows(`${name}.weight`, start, count);
  const bias = w.rows(`${name}.bias`, start, count);
  const delta = w.adapter?.delta(`${name}.weight`, x, start, count);
  return delta === undefined
    ? linear(x, weight, bias, options)
    : adapted(x, [weight, bias, delta], options);
}

export interface QkvLayer {
  x: Tensor;
  /** `NAME.weight` and `NAME.bias` have rows of q of all heads, then k, then v. */
  name: string;
  /** How many rows of them, the first ones; all where it is not given. */
  count?: number;
  qScale: Tensor;
  kScale: Tensor;
}

/** Heads of the layers' projections, one a stream; see `qkvProjection`. With an adapter, op by op. */
export function qkvLayers(
  w: ParameterSet,
  layers: readonly QkvLayer[],
  options: QkvNormRopeOptions,
): [q: Tensor, k: Tensor, v: Tensor] {
  if (w.adapter !== undefined) {
    const projected = layers.map(({ x, name, count, ...scales }) => ({
      qkv:
        count === undefined ? linearLayer(w, name, x) : linearRows(w, name, x, { start: 0, count }),
      ...scales,
    }));
    return qkvNormRope(projected, options);
  }
  const streams = layers.map(({ name, count, ...stream }) => {
    const rows = (part: string) =>
      count === undefined ? w.get(`${name}.${part}`) : w.rows(`${name}.${part}`, 0, count);
    return { ...stream, w: rows("weight"), b: w.has(`${name}.bias`) ? rows("bias") : null };
  });
  return qkvProjection(streams, options);
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
