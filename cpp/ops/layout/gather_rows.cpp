#include "cpp/ops/layout/gather_rows.h"

#include "cpp/core/check.h"
#include "cpp/ops/op_table.h"

namespace srpo {

namespace {

/// One row of L for each of B samples.
void require_index(const char* op, const std::vector<int64_t>& index, int64_t B, int64_t L) {
  if (static_cast<int64_t>(index.size()) != B)
    refuse("ERR_SHAPE", op, "index", std::to_string(B) + " numbers, one a sample",
           std::to_string(index.size()));
  for (const int64_t row : index)
    require_range(op, "index", row >= 0 && row < L, "0 to " + std::to_string(L - 1),
                  std::to_string(row));
}

}  // namespace

void gather_rows_forward(const GatherRowsForward& op, Stream& stream) {
  constexpr auto kOp = "gatherRows";
  require_rank(kOp, "x", op.x, 3, "[B, L, D]");
  require_not_empty(kOp, "x", op.x);
  require_index(kOp, op.index, op.x.dim(0), op.x.dim(1));
  dispatch(kOp, &OpTable::gather_rows_forward, op, stream);
}

void gather_rows_backward(const GatherRowsBackward& op, Stream& stream) {
  constexpr auto kOp = "gatherRows backward";
  require_rank(kOp, "dy", op.dy, 2, "[B, D]");
  require_not_empty(kOp, "dy", op.dy);
  require_shape(kOp, "dy", op.dy, {op.dx.dim(0), op.dx.dim(2)});
  require_index(kOp, op.index, op.dx.dim(0), op.dx.dim(1));
  require_like(kOp, "dy", op.dy, op.dx);
  dispatch(kOp, &OpTable::gather_rows_backward, op, stream);
}

}  // namespace srpo
