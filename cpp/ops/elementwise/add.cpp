#include "cpp/ops/elementwise/add.h"

#include "cpp/core/check.h"
#include "cpp/ops/op_table.h"

namespace srpo {

void add_forward(const AddForward& op, Stream& stream) {
  constexpr auto kOp = "add";
  require_float(kOp, "a", op.a);
  require_not_empty(kOp, "a", op.a);
  require_same_shape(kOp, "b", op.b, op.a);
  require_like(kOp, "b", op.b, op.a);
  dispatch(kOp, &OpTable::add_forward, op, stream);
}

void accumulate(const Accumulate& op, Stream& stream) {
  constexpr auto kOp = "accumulate";
  require_float(kOp, "into", op.into);
  require_not_empty(kOp, "into", op.into);
  require_same_shape(kOp, "from", op.from, op.into);
  require_float(kOp, "from", op.from);
  require_same_device(kOp, "from", op.from, op.into);
  dispatch(kOp, &OpTable::accumulate, op, stream);
}

}  // namespace srpo
