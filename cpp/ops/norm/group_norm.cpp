#include "cpp/ops/norm/group_norm.h"

#include "cpp/core/check.h"
#include "cpp/ops/op_table.h"

namespace srpo {

void group_norm_check(const char* kOp, const TensorView& x, int64_t groups) {
  require_rank(kOp, "x", x, 4, "[B, H, W, C]");
  require_float(kOp, "x", x);
  require_not_empty(kOp, "x", x);
  require_range(kOp, "groups", groups >= 1 && x.dim(3) % groups == 0,
                "a divisor of " + std::to_string(x.dim(3)), std::to_string(groups));
}

void group_norm_forward(const GroupNormForward& op, Stream& stream) {
  constexpr auto kOp = "groupNorm";
  require_shape(kOp, "w", op.w, {op.x.dim(3)});
  require_shape(kOp, "b", op.b, {op.x.dim(3)});
  require_like(kOp, "w", op.w, op.x);
  require_like(kOp, "b", op.b, op.x);
  if (op.statistics)
    require_float32(kOp, "statistics", op.statistics, {op.x.dim(0), op.mean.dim(1), 2}, op.x);
  require_range(kOp, "eps", op.eps > 0, "a number above 0", std::to_string(op.eps));
  dispatch(kOp, &OpTable::group_norm_forward, op, stream);
}

void group_norm_backward(const GroupNormBackward& op, Stream& stream) {
  constexpr auto kOp = "groupNorm backward";
  require_rank(kOp, "mean", op.mean, 2, "[B, groups]");
  group_norm_check(kOp, op.x, op.mean.dim(1));
  const int64_t B = op.x.dim(0), C = op.x.dim(3);
  require_float32(kOp, "mean", op.mean, {B, -1}, op.x);
  require_float32(kOp, "rstd", op.rstd, {B, op.mean.dim(1)}, op.x);
  require_shape(kOp, "w", op.w, {C});
  require_like(kOp, "w", op.w, op.x);
  require_shape(kOp, "b", op.b, {C});
  require_like(kOp, "b", op.b, op.x);
  require_gradient(kOp, "dy", op.dy, op.x);
  for (const auto& [argument, t] : {std::pair{"dw", op.dw}, std::pair{"db", op.db}}) {
    if (!t) continue;
    require_float32(kOp, argument, t, {C}, op.x);
  }
  dispatch(kOp, &OpTable::group_norm_backward, op, stream);
}

}  // namespace srpo
