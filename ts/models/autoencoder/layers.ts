import { convolutionLayer, groupNormLayer, linearLayer } from "../../nn/layers.js";
import type { ParameterSet } from "../../nn/parameter_set.js";
import {
  attention,
  conv2d,
  conv2dWithStatistics,
  qkvNormRope,
  reshape,
  type Conv2dOptions,
} from "../../ops/index.js";
import type { Tensor } from "../../tensor/tensor.js";

/** Pixels and, where their convolution took them, the statistics that a group norm starts from. */
export type Pixels = readonly [x: Tensor, statistics?: Tensor | undefined];

/** A convolution; with `groups`, one that a group norm of so many follows. */
export function convolution(
  w: ParameterSet,
  name: string,
  x: Tensor,
  groups: number | undefined,
  options: Conv2dOptions = {},
): Pixels {
  const [weight, bias] = [w.get(`${name}.weight`), w.get(`${name}.bias`)];
  if (groups === undefined) return [conv2d(x, weight, bias, options)];
  const { y, statistics } = conv2dWithStatistics(x, weight, bias, { ...options, groups });
  return [y, statistics];
}

/** x + conv2(silu(norm2(conv1(silu(norm1(x)))))), x through a 1x1 convolution where the width changes. */
export function resnet(
  w: ParameterSet,
  name: string,
  groups: number,
  [x, statistics]: Pixels,
  { beforeNorm }: { beforeNorm: boolean },
): Pixels {
  const normed = groupNormLayer(w, `${name}.norm1`, x, { groups, act: "silu", statistics });
  const [h, ofH] = convolution(w, `${name}.conv1`, normed, groups);
  const shortcut = w.has(`${name}.nin_shortcut.weight`)
    ? convolutionLayer(w, `${name}.nin_shortcut`, x)
    : x;
  return convolution(
    w,
    `${name}.conv2`,
    groupNormLayer(w, `${name}.norm2`, h, { groups, act: "silu", statistics: ofH }),
    beforeNorm ? groups : undefined,
    { residual: shortcut },
  );
}

/** One head over all pixels: x + proj_out(attention(qkv(norm(x)))). */
export function pixelAttention(
  w: ParameterSet,
  name: string,
  groups: number,
  [x, statistics]: Pixels,
): Tensor {
  const [B, H, W, C] = x.shape as [number, number, number, number];
  const tokens = reshape(x, [B, H * W, C]);
  const normed = reshape(groupNormLayer(w, `${name}.norm`, x, { groups, statistics }), [
    B,
    H * W,
    C,
  ]);
  const qkv = linearLayer(w, `${name}.qkv`, normed);
  const [q, k, v] = qkvNormRope([{ qkv }], { heads: 1 });
  const y = linearLayer(w, `${name}.proj_out`, attention(q, k, v), { residual: tokens });
  return reshape(y, [B, H, W, C]);
}

/** Half the side: zeros added on the right and at the bottom only, then 3x3 of stride 2. */
export function downsample(w: ParameterSet, name: string, groups: number, [x]: Pixels): Pixels {
  return convolution(w, `${name}.downsample.conv`, x, groups, {
    stride: 2,
    padding: [0, 1, 1, 0],
  });
}

/** Twice the side: each pixel repeated 2x2, then 3x3. */
export function upsample(w: ParameterSet, name: string, groups: number, [x]: Pixels): Pixels {
  return convolution(w, `${name}.upsample.conv`, x, groups, { upsample: true });
}

/** silu(norm_out(x)) through conv_out. */
export function head(
  w: ParameterSet,
  part: string,
  groups: number,
  [x, statistics]: Pixels,
): Tensor {
  const normed = groupNormLayer(w, `${part}.norm_out`, x, { groups, act: "silu", statistics });
  return convolutionLayer(w, `${part}.conv_out`, normed);
}
