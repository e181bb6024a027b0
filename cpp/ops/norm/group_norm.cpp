#include "cpp/ops/norm/group_norm.h"

#include "cpp/core/check.h"
#include "cpp/ops/op_table.h"

namespace srpo {

void group_norm_check(const TensorView& x, int64_t groups) {
  constexpr auto kOp = "groupNorm";
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
  require_range(kOp, "eps", op.eps > 0, "a number above 0", std::to_string(op.eps));
  dispatch(kOp, &OpTable::group_norm_forward, op, stream);
}

void group_norm_backward(const GroupNormBackward& op, Stream& stream) {
  constexpr auto kOp = "groupNorm backward";
  require_same_shape(kOp, "dy", op.dy, op.x);
  require_like(kOp, "dy", op.dy, op.x);
  for (const auto& [argument, t] : {std::pair{"dw", op.dw}, std::pair{"db", op.db}}) {
    if (!t) continue;
    require_shape(kOp, argument, t, {op.x.dim(3)});
    require_dtype(kOp, argument, t, DType::kFloat32);
    require_same_device(kOp, argument, t, op.x);
  }
  dispatch(kOp, &OpTable::group_norm_backward, op, stream);
}

}  // namespace srpo
