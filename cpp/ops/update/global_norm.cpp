#include "cpp/ops/update/global_norm.h"

#include "cpp/core/check.h"
#include "cpp/ops/op_table.h"

namespace srpo {

void global_norm(const GlobalNorm& op, Stream& stream) {
  constexpr auto kOp = "globalNorm";
  require_float(kOp, "grad", op.grad);
  require_not_empty(kOp, "grad", op.grad);
  if (op.squares) {
    require_not_empty(kOp, "squares", op.squares);
    require_dtype(kOp, "squares", op.squares, DType::kFloat32);
    require_same_device(kOp, "squares", op.squares, op.grad);
  }
  require_range(kOp, "ranges", op.ranges.size() % 2 == 0, "a begin and a count of each",
                std::to_string(op.ranges.size()) + " numbers");
  const int64_t n = op.grad.numel();
  for (size_t i = 0; i < op.ranges.size(); i += 2) {
    const int64_t begin = op.ranges[i], count = op.ranges[i + 1];
    require_range(kOp, "ranges", begin >= 0 && count > 0 && count <= n && begin <= n - count,
                  "ranges within " + std::to_string(n) + " elements",
                  std::to_string(count) + " from " + std::to_string(begin));
  }
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
