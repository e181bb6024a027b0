// RMS norm: y = xhat * w, with xhat = x * rstd.
//
//   x, y, dx, dy   [rows, D]  T
//   w              [D]        T      optional
//   dw             [D]        float  added to
//   rstd           [rows]     float  1 / sqrt(<x^2> + eps), saved by forward, read by backward
//
// Backward, with g = w * dy and <.> the mean over D:
//   dx = rstd * (g - xhat * <g * xhat>)
//   dw = sum over rows of dy * xhat
//
// T is float or bfloat16; every sum runs in float. The kernels are those of norm_rows.h.
// Source: Zhang & Sennrich 2019, arXiv:1910.07467.

#include "cpp/ops/norm/rms_norm.h"

#include "cuda/norm/norm_rows.h"

namespace srpo::cuda {
namespace {

NormRows rows_of(const TensorView& x, const TensorView& w) {
  return {.x = x,
          .scale = w,
          .shift = {},
          .samples = 1,
          .rows = x.rows(),
          .D = x.dim(-1),
          .centred = false,
          .plus = 0.f};
}

}  // namespace

void rms_norm_forward(const RmsNormForward& op, Stream& stream) {
  norm_rows_forward(rows_of(op.x, op.w), op.y, nullptr, op.rstd.data<float>(), op.eps, stream);
}

void rms_norm_backward(const RmsNormBackward& op, Stream& stream) {
  const NormRows n = rows_of(op.x, op.w);
  const NormParts parts = norm_rows_backward(n, op.dx, op.dy, nullptr, op.rstd.data<float>(),
                                             static_cast<bool>(op.dw), stream);
  if (op.dw) add_norm_parts(op.dw.data<float>(), nullptr, parts, n, stream);
}

}  // namespace srpo::cuda
