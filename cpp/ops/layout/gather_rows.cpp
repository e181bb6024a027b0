#include "cpp/ops/layout/gather_rows.h"

#include "cpp/core/check.h"
#include "cpp/ops/op_table.h"

namespace srpo {

void gather_rows_forward(const GatherRowsForward& op, Stream& stream) {
  constexpr auto kOp = "gatherRows";
  require_not_empty(kOp, "x", op.x);
  const auto [B, L, D] = op.x.sizes<3>();
  if (static_cast<int64_t>(op.index.size()) != B)
    refuse("ERR_SHAPE", kOp, "index", std::to_string(B) + " numbers, one a sample",
           std::to_string(op.index.size()));
  for (const int64_t row : op.index)
    require_range(kOp, "index", row >= 0 && row < L, "0 to " + std::to_string(L - 1),
                  std::to_string(row));
  dispatch(kOp, &OpTable::gather_rows_forward, op, stream);
}

void gather_rows_backward(const GatherRowsBackward& op, Stream& stream) {
  constexpr auto kOp = "gatherRows backward";
  require_shape(kOp, "dy", op.dy, {op.dx.dim(0), op.dx.dim(2)});
  require_like(kOp, "dy", op.dy, op.dx);
  dispatch(kOp, &OpTable::gather_rows_backward, op, stream);
}

}  // namespace srpo
