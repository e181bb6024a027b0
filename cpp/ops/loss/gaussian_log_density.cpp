#include "cpp/ops/loss/gaussian_log_density.h"

#include <cmath>

#include "cpp/core/check.h"
#include "cpp/ops/op_table.h"

namespace srpo {

void gaussian_log_density_forward(const GaussianLogDensityForward& op, Stream& stream) {
  constexpr auto kOp = "gaussianLogDensity";
  if (op.x.rank < 1) refuse("ERR_SHAPE", kOp, "x", "[B, ...]", shape_text(op.x));
  require_float(kOp, "x", op.x);
  require_not_empty(kOp, "x", op.x);
  require_same_shape(kOp, "mean", op.mean, op.x);
  require_like(kOp, "mean", op.mean, op.x);
  if (static_cast<int64_t>(op.std.size()) != op.x.dim(0))
    refuse("ERR_SHAPE", kOp, "std", std::to_string(op.x.dim(0)) + " numbers",
           std::to_string(op.std.size()));
  for (const float std : op.std)
    require_range(kOp, "std", std > 0 && std::isfinite(std), "finite numbers above 0",
                  std::to_string(std));
  dispatch(kOp, &OpTable::gaussian_log_density_forward, op, stream);
}

void gaussian_log_density_backward(const GaussianLogDensityBackward& op, Stream& stream) {
  constexpr auto kOp = "gaussianLogDensity backward";
  require_shape(kOp, "dy", op.dy, {op.x.dim(0)});
  require_dtype(kOp, "dy", op.dy, DType::kFloat32);
  dispatch(kOp, &OpTable::gaussian_log_density_backward, op, stream);
}

}  // namespace srpo
