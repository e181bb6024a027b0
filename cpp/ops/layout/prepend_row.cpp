#include "cpp/ops/layout/prepend_row.h"

#include "cpp/core/check.h"
#include "cpp/ops/op_table.h"

namespace srpo {

void prepend_row_forward(const PrependRowForward& op, Stream& stream) {
  constexpr auto kOp = "prependRow";
  require_rank(kOp, "x", op.x, 3, "[B, L, D]");
  require_float(kOp, "x", op.x);
  require_not_empty(kOp, "x", op.x);
  require_shape(kOp, "row", op.row, {op.x.dim(2)});
  require_like(kOp, "row", op.row, op.x);
  dispatch(kOp, &OpTable::prepend_row_forward, op, stream);
}

void prepend_row_backward(const PrependRowBackward& op, Stream& stream) {
  constexpr auto kOp = "prependRow backward";
  require_rank(kOp, "dy", op.dy, 3, "[B, L + 1, D]");
  require_float(kOp, "dy", op.dy);
  require_not_empty(kOp, "dy", op.dy);
  if (op.dy.dim(1) < 2)
    refuse("ERR_SHAPE", kOp, "dy", "at least one row behind the first", shape_text(op.dy));
  if (op.dx) {
    require_shape(kOp, "dy", op.dy, {op.dx.dim(0), op.dx.dim(1) + 1, op.dx.dim(2)});
    require_like(kOp, "dy", op.dy, op.dx);
  }
  if (op.drow) require_float32(kOp, "drow", op.drow, {op.dy.dim(2)}, op.dy);
  dispatch(kOp, &OpTable::prepend_row_backward, op, stream);
}

}  // namespace srpo
