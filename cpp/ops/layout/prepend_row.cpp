#include "cpp/ops/layout/prepend_row.h"

#include "cpp/core/check.h"
#include "cpp/ops/op_table.h"

namespace srpo {

void prepend_row_forward(const PrependRowForward& op, Stream& stream) {
  constexpr auto kOp = "prependRow";
  require_float(kOp, "x", op.x);
  require_not_empty(kOp, "x", op.x);
  require_shape(kOp, "row", op.row, {op.x.dim(2)});
  require_like(kOp, "row", op.row, op.x);
  dispatch(kOp, &OpTable::prepend_row_forward, op, stream);
}

void prepend_row_backward(const PrependRowBackward& op, Stream& stream) {
  constexpr auto kOp = "prependRow backward";
  if (op.dx) require_like(kOp, "dy", op.dy, op.dx);
  if (op.drow) {
    require_shape(kOp, "drow", op.drow, {op.dy.dim(2)});
    require_dtype(kOp, "drow", op.drow, DType::kFloat32);
    require_same_device(kOp, "drow", op.drow, op.dy);
  }
  dispatch(kOp, &OpTable::prepend_row_backward, op, stream);
}

}  // namespace srpo
