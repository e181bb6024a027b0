#include "cpp/ops/update/clip.h"

#include <cmath>

#include "cpp/core/check.h"
#include "cpp/ops/op_table.h"

namespace srpo {

void clip(const Clip& op, Stream& stream) {
  constexpr auto kOp = "clip";
  require_float(kOp, "grad", op.grad);
  require_not_empty(kOp, "grad", op.grad);
  require_shape(kOp, "norm", op.norm, {1});
  require_dtype(kOp, "norm", op.norm, DType::kFloat32);
  require_same_device(kOp, "norm", op.norm, op.grad);
  require_range(kOp, "maxNorm", op.max_norm > 0 && std::isfinite(op.max_norm),
                "a finite number above 0", std::to_string(op.max_norm));
  dispatch(kOp, &OpTable::clip, op, stream);
}

}  // namespace srpo
