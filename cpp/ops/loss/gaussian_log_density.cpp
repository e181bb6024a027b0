#include "cpp/ops/loss/gaussian_log_density.h"

#include <cmath>

#include "cpp/core/check.h"
#include "cpp/ops/op_table.h"

namespace srpo {

namespace {

/// What both directions ask of x, mean and std.
template <typename Op>
void require_inputs(const char* kOp, const Op& op) {
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
}

}  // namespace

void gaussian_log_density_forward(const GaussianLogDensityForward& op, Stream& stream) {
  constexpr auto kOp = "gaussianLogDensity";
  require_inputs(kOp, op);
  dispatch(kOp, &OpTable::gaussian_log_density_forward, op, stream);
}

void gaussian_log_density_backward(const GaussianLogDensityBackward& op, Stream& stream) {
  constexpr auto kOp = "gaussianLogDensity backward";
  require_inputs(kOp, op);
  require_float32(kOp, "dy", op.dy, {op.x.dim(0)}, op.x);
  dispatch(kOp, &OpTable::gaussian_log_density_backward, op, stream);
}

}  // namespace srpo
