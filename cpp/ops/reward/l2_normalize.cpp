#include "cpp/ops/reward/l2_normalize.h"

#include <cmath>

#include "cpp/core/check.h"
#include "cpp/ops/op_table.h"

namespace srpo {

void l2_normalize_forward(const L2NormalizeForward& op, Stream& stream) {
  constexpr auto kOp = "l2Normalize";
  require_rank(kOp, "x", op.x, 2, "[B, D]");
  require_float(kOp, "x", op.x);
  require_not_empty(kOp, "x", op.x);
  require_range(kOp, "eps", op.eps > 0 && std::isfinite(op.eps), "a finite number above 0",
                std::to_string(op.eps));
  dispatch(kOp, &OpTable::l2_normalize_forward, op, stream);
}

void l2_normalize_backward(const L2NormalizeBackward& op, Stream& stream) {
  constexpr auto kOp = "l2Normalize backward";
  require_rank(kOp, "x", op.x, 2, "[B, D]");
  require_float(kOp, "x", op.x);
  require_not_empty(kOp, "x", op.x);
  require_gradient(kOp, "dy", op.dy, op.x);
  require_float32(kOp, "norm", op.norm, {op.x.dim(0)}, op.x);
  require_range(kOp, "eps", op.eps > 0 && std::isfinite(op.eps), "a finite number above 0",
                std::to_string(op.eps));
  dispatch(kOp, &OpTable::l2_normalize_backward, op, stream);
}

}  // namespace srpo
