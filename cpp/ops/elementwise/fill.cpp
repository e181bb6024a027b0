#include "cpp/ops/elementwise/fill.h"

#include "cpp/core/check.h"
#include "cpp/ops/op_table.h"

namespace srpo {

void fill(const Fill& op, Stream& stream) {
  constexpr auto kOp = "fill";
  require_float(kOp, "t", op.y);
  require_not_empty(kOp, "t", op.y);
  dispatch(kOp, &OpTable::fill, op, stream);
}

}  // namespace srpo
