#include "cpp/ops/recovery/recover.h"

#include <cmath>

#include "cpp/core/check.h"
#include "cpp/ops/op_table.h"
#include "cpp/ops/resample/patchify.h"

namespace srpo {

namespace {

void require_factors(const char* op, const std::vector<float>& g, int64_t B, float scaling) {
  require_range(op, "g", static_cast<int64_t>(g.size()) == B,
                std::to_string(B) + " numbers, one a sample", std::to_string(g.size()));
  for (const float value : g)
    require_range(op, "g", std::isfinite(value), "finite numbers", std::to_string(value));
  require_range(op, "scalingFactor", std::isfinite(scaling) && scaling != 0,
                "a finite number other than 0", std::to_string(scaling));
}

}  // namespace

void recover_check(const TensorView& clean, const TensorView& noise, const TensorView& velocity,
                   const std::vector<float>& g, int64_t height, int64_t width, float scaling) {
  constexpr auto kOp = "recover";
  unpatchify_check(kOp, "velocity", velocity, height, width, 2);
  for (const auto& [argument, t] : {std::pair{"clean", clean}, std::pair{"noise", noise}}) {
    require_same_shape(kOp, argument, t, velocity);
    require_float(kOp, argument, t);
    require_same_device(kOp, argument, t, velocity);
  }
  require_factors(kOp, g, velocity.dim(0), scaling);
}

void recover_forward(const RecoverForward& op, Stream& stream) {
  dispatch("recover", &OpTable::recover_forward, op, stream);
}

void recover_backward(const RecoverBackward& op, Stream& stream) {
  constexpr auto kOp = "recover backward";
  unpatchify_check(kOp, "dvelocity", op.dvelocity, op.dz.dim(1), op.dz.dim(2), 2);
  require_like(kOp, "dz", op.dz, op.dvelocity);
  require_factors(kOp, op.g, op.dz.dim(0), op.scaling);
  dispatch(kOp, &OpTable::recover_backward, op, stream);
}

}  // namespace srpo
