// Layer norm: y = xhat * w + b, with xhat = (x - mean) * rstd.
//
//   x, y, dx, dy   [rows, D]  T
//   w, b           [D]        T      optional
//   dw, db         [D]        float  added to
//   mean, rstd     [rows]     float  saved by forward, read by backward
//
// Backward, with g = w * dy and <.> the mean over D:
//   dx = rstd * (g - <g> - xhat * <g * xhat>)
//   dw = sum over rows of dy * xhat
//   db = sum over rows of dy
//
// T is float or bfloat16; every sum runs in float. The kernels are those of norm_rows.h.
// Source: Ba, Kiros & Hinton 2016, arXiv:1607.06450.

#include "cpp/ops/norm/layer_norm.h"

#include "cuda/norm/norm_rows.h"

namespace srpo::cuda {
namespace {

NormRows rows_of(const TensorView& x, const TensorView& w, const TensorView& b) {
  return {.x = x,
          .scale = w,
          .shift = b,
          .samples = 1,
          .rows = x.rows(),
          .D = x.dim(-1),
          .centred = true,
          .plus = 0.f};
}

}  // namespace

void layer_norm_forward(const LayerNormForward& op, Stream& stream) {
  norm_rows_forward(rows_of(op.x, op.w, op.b), op.y, op.mean.data<float>(), op.rstd.data<float>(),
                    op.eps, stream);
}

void layer_norm_backward(const LayerNormBackward& op, Stream& stream) {
  const NormRows n = rows_of(op.x, op.w, {});
  const bool wants_parts = op.dw || op.db;
  const NormParts parts = norm_rows_backward(n, op.dx, op.dy, op.mean.data<float>(),
                                             op.rstd.data<float>(), wants_parts, stream);
  if (wants_parts) add_norm_parts(op.dw.data<float>(), op.db.data<float>(), parts, n, stream);
}

}  // namespace srpo::cuda
