#include "cpp/ops/update/global_norm.h"

#include "cpp/core/check.h"
#include "cpp/ops/op_table.h"

namespace srpo {

void global_norm(const GlobalNorm& op, Stream& stream) {
  constexpr auto kOp = "globalNorm";
  require_float(kOp, "grad", op.grad);
  require_not_empty(kOp, "grad", op.grad);
  dispatch(kOp, &OpTable::global_norm, op, stream);
}

void factored_norm(const FactoredNorm& op, Stream& stream) {
  constexpr auto kOp = "factoredNorm";
  require_rank(kOp, "dy", op.dy, 2, "[R, N]");
  require_float(kOp, "dy", op.dy);
  require_not_empty(kOp, "dy", op.dy);
  require_rank(kOp, "x", op.x, 2, "[R, K]");
  require_shape(kOp, "x", op.x, {op.dy.dim(0), -1});
  require_not_empty(kOp, "x", op.x);
  require_like(kOp, "x", op.x, op.dy);
  constexpr int64_t kMostRows = 65535;  // a grid's height
  require_range(kOp, "dy", op.dy.dim(0) <= kMostRows,
                "at most " + std::to_string(kMostRows) + " rows", std::to_string(op.dy.dim(0)));
  dispatch(kOp, &OpTable::factored_norm, op, stream);
}

void count_non_finite(const CountNonFinite& op, Stream& stream) {
  constexpr auto kOp = "countNonFinite";
  require_shape(kOp, "counter", op.counter, {1});
  require_dtype(kOp, "counter", op.counter, DType::kInt32);
  require_shape(kOp, "norm", op.norm, {1});
  require_dtype(kOp, "norm", op.norm, DType::kFloat32);
  require_same_device(kOp, "norm", op.norm, op.counter);
  dispatch(kOp, &OpTable::count_non_finite, op, stream);
}

}  // namespace srpo
