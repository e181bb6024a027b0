#include "cpp/ops/elementwise/combine.h"

#include <cmath>

#include "cpp/core/check.h"
#include "cpp/ops/op_table.h"

namespace srpo {

void combine_forward(const CombineForward& op, Stream& stream) {
  constexpr auto kOp = "combine";
  if (op.x.rank < 1) require_rank(kOp, "x", op.x, 1, "[B, ...]");
  require_float(kOp, "x", op.x);
  require_not_empty(kOp, "x", op.x);
  require_float(kOp, "dtype", op.out);
  const auto coefficients = [&](const char* name, const std::vector<float>& values) {
    const auto B = static_cast<size_t>(op.x.dim(0));
    if (values.size() != B)
      refuse("ERR_SHAPE", kOp, name, std::to_string(B) + " numbers, one a sample",
             std::to_string(values.size()));
    for (const float value : values)
      require_range(kOp, name, std::isfinite(value), "finite numbers", std::to_string(value));
  };
  coefficients("coefficients.x", op.cx);
  if (op.y) {
    require_same_shape(kOp, "y", op.y, op.x);
    require_float(kOp, "y", op.y);
    require_same_device(kOp, "y", op.y, op.x);
    coefficients("coefficients.y", op.cy);
  }
  dispatch(kOp, &OpTable::combine_forward, op, stream);
}

}  // namespace srpo
