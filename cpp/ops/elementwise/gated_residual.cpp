#include "cpp/ops/elementwise/gated_residual.h"

#include "cpp/core/check.h"
#include "cpp/ops/op_table.h"

namespace srpo {

void gated_residual_forward(const GatedResidualForward& op, Stream& stream) {
  constexpr auto kOp = "gatedResidual";
  require_rank(kOp, "x", op.x, 3, "[B, L, D]");
  require_float(kOp, "x", op.x);
  require_not_empty(kOp, "x", op.x);
  require_shape(kOp, "gate", op.gate, {op.x.dim(0), op.x.dim(2)});
  require_like(kOp, "gate", op.gate, op.x);
  require_same_shape(kOp, "y", op.y, op.x);
  require_like(kOp, "y", op.y, op.x);
  dispatch(kOp, &OpTable::gated_residual_forward, op, stream);
}

void gated_residual_backward(const GatedResidualBackward& op, Stream& stream) {
  constexpr auto kOp = "gatedResidual backward";
  require_rank(kOp, "y", op.y, 3, "[B, L, D]");
  require_float(kOp, "y", op.y);
  require_not_empty(kOp, "y", op.y);
  require_shape(kOp, "gate", op.gate, {op.y.dim(0), op.y.dim(2)});
  require_like(kOp, "gate", op.gate, op.y);
  require_gradient(kOp, "dout", op.dout, op.y);
  dispatch(kOp, &OpTable::gated_residual_backward, op, stream);
}

}  // namespace srpo
