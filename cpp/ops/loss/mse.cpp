#include "cpp/ops/loss/mse.h"

#include "cpp/core/check.h"
#include "cpp/ops/op_table.h"

namespace srpo {

void mse_forward(const MseForward& op, Stream& stream) {
  constexpr auto kOp = "mse";
  require_float(kOp, "a", op.a);
  require_not_empty(kOp, "a", op.a);
  require_same_shape(kOp, "b", op.b, op.a);
  require_like(kOp, "b", op.b, op.a);
  dispatch(kOp, &OpTable::mse_forward, op, stream);
}

void mse_backward(const MseBackward& op, Stream& stream) {
  constexpr auto kOp = "mse backward";
  require_float(kOp, "a", op.a);
  require_not_empty(kOp, "a", op.a);
  require_gradient(kOp, "b", op.b, op.a);
  require_float32(kOp, "dy", op.dy, {1}, op.a);
  dispatch(kOp, &OpTable::mse_backward, op, stream);
}

}  // namespace srpo
