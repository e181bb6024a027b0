import { convolutionLayer, groupNormLayer, linearLayer } from "../../nn/layers.js";
import type { ParameterSet } from "../../nn/parameter_set.js";
import { attention, qkvNormRope, reshape } from "../../ops/index.js";
import type { Tensor } from "../../tensor/tensor.js";

/** x + conv2(silu(norm2(conv1(silu(norm1(x)))))), x through a 1x1 convolution where the width changes. */
export function resnet(w: ParameterSet, name: string, groups: number, x: Tensor): Tensor {
  const normed = groupNormLayer(w, `${name}.norm1`, x, { groups, act: "silu" });
  const h = convolutionLayer(w, `${name}.conv1`, normed);
  const shortcut = w.has(`${name}.nin_shortcut.weight`)
    ? convolutionLayer(w, `${name}.nin_shortcut`, x)
    : x;
  return convolutionLayer(
    w,
    `${name}.conv2`,
    groupNormLayer(w, `${name}.norm2`, h, { groups, act: "silu" }),
    { residual: shortcut },
  );
}

/** One head over all pixels: x + proj_out(attention(qkv(norm(x)))). */
export function pixelAttention(w: ParameterSet, name: string, groups: number, x: Tensor): Tensor {
  const [B, H, W, C] = x.shape as [number, number, number, number];
  const tokens = reshape(x, [B, H * W, C]);
  const normed = reshape(groupNormLayer(w, `${name}.norm`, x, { groups }), [B, H * W, C]);
  const qkv = linearLayer(w, `${name}.qkv`, normed);
  const [q, k, v] = qkvNormRope([{ qkv }], { heads: 1 });
  const y = linearLayer(w, `${name}.proj_out`, attention(q, k, v), { residual: tokens });
  return reshape(y, [B, H, W, C]);
}

/** Half the side: zeros added on the right and at the bottom only, then 3x3 of stride 2. */
export function downsample(w: ParameterSet, name: string, x: Tensor): Tensor {
  return convolutionLayer(w, `${name}.downsample.conv`, x, {
    stride: 2,
    padding: [0, 1, 1, 0],
  });
}

/** Twice the side: each pixel repeated 2x2, then 3x3. */
export function upsample(w: ParameterSet, name: string, x: Tensor): Tensor {
  return convolutionLayer(w, `${name}.upsample.conv`, x, { upsample: true });
}

/** silu(norm_out(x)) through conv_out. */
export function head(w: ParameterSet, part: string, groups: number, x: Tensor): Tensor {
  const normed = groupNormLayer(w, `${part}.norm_out`, x, { groups, act: "silu" });
  return convolutionLayer(w, `${part}.conv_out`, normed);
}
