#include "cpp/ops/norm/rms_norm.h"

#include "cpp/core/check.h"
#include "cpp/ops/op_table.h"

namespace srpo {

void rms_norm_forward(const RmsNormForward& op, Stream& stream) {
  constexpr auto kOp = "rmsNorm";
  require_float(kOp, "x", op.x);
  if (op.x.rank < 1) require_rank(kOp, "x", op.x, 1, "[..., D]");
  require_not_empty(kOp, "x", op.x);
  if (op.w) {
    require_shape(kOp, "w", op.w, {op.x.dim(-1)});
    require_like(kOp, "w", op.w, op.x);
  }
  require_range(kOp, "eps", op.eps > 0.f, "a number above 0", std::to_string(op.eps));
  dispatch(kOp, &OpTable::rms_norm_forward, op, stream);
}

void rms_norm_backward(const RmsNormBackward& op, Stream& stream) {
  constexpr auto kOp = "rmsNorm backward";
  require_float(kOp, "x", op.x);
  if (op.x.rank < 1) require_rank(kOp, "x", op.x, 1, "[..., D]");
  require_not_empty(kOp, "x", op.x);
  require_gradient(kOp, "dy", op.dy, op.x);
  require_float32(kOp, "rstd", op.rstd, {op.x.rows()}, op.x);
  if (op.w) {
    require_shape(kOp, "w", op.w, {op.x.dim(-1)});
    require_like(kOp, "w", op.w, op.x);
  }
  if (op.dw) require_float32(kOp, "dw", op.dw, {op.x.dim(-1)}, op.x);
  dispatch(kOp, &OpTable::rms_norm_backward, op, stream);
}

}  // namespace srpo
