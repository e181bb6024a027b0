#include "cpp/ops/elementwise/cast.h"

#include "cpp/core/check.h"
#include "cpp/ops/op_table.h"

namespace srpo {

void cast(const Cast& op, Stream& stream) {
  constexpr auto kOp = "cast";
  require_float(kOp, "x", op.x);
  require_float(kOp, "dtype", op.y);
  require_not_empty(kOp, "x", op.x);
  dispatch(kOp, &OpTable::cast, op, stream);
}

}  // namespace srpo
