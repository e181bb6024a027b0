// Modulated layer norm: y = (1 + scale) * xhat + shift, with xhat = (x - mean) * rstd.
//
//   x, y, dx, dy                  [B, L, D]  T      one normalised row per token
//   scale, shift, dscale, dshift  [B, D]     T      one modulation a sample, shared by its tokens
//   mean, rstd                    [B, L]     float  saved by forward, read by backward
//
// Backward, with g = (1 + scale) * dy and <.> the mean over D:
//   dx     = rstd * (g - <g> - xhat * <g * xhat>)
//   dscale = sum over L of dy * xhat
//   dshift = sum over L of dy
//
// T is float or bfloat16; every sum runs in float. The kernels are those of norm_rows.h.
// Source: FLUX.1 blocks, adaLN (Peebles & Xie 2023, sec. 3.2).

#include "cpp/ops/norm/modulated_layer_norm.h"

#include "cuda/norm/norm_rows.h"

namespace srpo::cuda {
namespace {

NormRows rows_of(const TensorView& x, const TensorView& scale, const TensorView& shift) {
  return {.x = x,
          .scale = scale,
          .shift = shift,
          .samples = x.dim(0),
          .rows = x.dim(1),
          .D = x.dim(2),
          .centred = true,
          .plus = 1.f};
}

}  // namespace

void modulated_layer_norm_forward(const ModulatedLayerNormForward& op, Stream& stream) {
  norm_rows_forward(rows_of(op.x, op.scale, op.shift), op.y, op.mean.data<float>(),
                    op.rstd.data<float>(), op.eps, stream);
}

void modulated_layer_norm_backward(const ModulatedLayerNormBackward& op, Stream& stream) {
  const NormRows n = rows_of(op.x, op.scale, {});
  const NormParts parts = norm_rows_backward(n, op.dx, op.dy, op.mean.data<float>(),
                                             op.rstd.data<float>(), true, stream);
  store_norm_parts(op.dscale, op.dshift, parts, n, stream);
}

}  // namespace srpo::cuda
