#include "cpp/ops/loss/sum.h"

#include "cpp/core/check.h"
#include "cpp/ops/op_table.h"

namespace srpo {

void sum_forward(const SumForward& op, const char* name, Stream& stream) {
  require_float(name, "x", op.x);
  require_not_empty(name, "x", op.x);
  dispatch(name, &OpTable::sum_forward, op, stream);
}

void sum_backward(const SumBackward& op, const char* name, Stream& stream) {
  require_float(name, "x", op.dx);
  require_not_empty(name, "x", op.dx);
  require_float32(name, "dy", op.dy, {1}, op.dx);
  dispatch(name, &OpTable::sum_backward, op, stream);
}

}  // namespace srpo
