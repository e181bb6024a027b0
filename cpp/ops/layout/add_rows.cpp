#include "cpp/ops/layout/add_rows.h"

#include "cpp/core/check.h"
#include "cpp/ops/op_table.h"

namespace srpo {

void add_rows_forward(const AddRowsForward& op, Stream& stream) {
  constexpr auto kOp = "addRows";
  require_rank(kOp, "x", op.x, 3, "[B, L, D]");
  require_float(kOp, "x", op.x);
  require_not_empty(kOp, "x", op.x);
  require_shape(kOp, "rows", op.rows, {op.x.dim(1), op.x.dim(2)});
  require_like(kOp, "rows", op.rows, op.x);
  dispatch(kOp, &OpTable::add_rows_forward, op, stream);
}

void add_rows_backward(const AddRowsBackward& op, Stream& stream) {
  constexpr auto kOp = "addRows backward";
  require_rank(kOp, "dy", op.dy, 3, "[B, L, D]");
  require_float(kOp, "dy", op.dy);
  require_not_empty(kOp, "dy", op.dy);
  require_float32(kOp, "drows", op.drows, {op.dy.dim(1), op.dy.dim(2)}, op.dy);
  dispatch(kOp, &OpTable::add_rows_backward, op, stream);
}

}  // namespace srpo
