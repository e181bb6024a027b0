#include "cpp/ops/update/adamw_step.h"

#include <cmath>

#include "cpp/core/check.h"
#include "cpp/ops/op_table.h"
#include "cpp/ops/update/master.h"

namespace srpo {
namespace {

constexpr auto kOp = "adamwStep";

void require_number(const char* name, double value, double low, double below) {
  require_range(kOp, name, value >= low && value < below,
                std::to_string(low) + " to below " + std::to_string(below), std::to_string(value));
}

void require_state(const char* name, const TensorView& t, const TensorView& weights) {
  require_same_shape(kOp, name, t, weights);
  require_dtype(kOp, name, t, DType::kFloat32);
  require_same_device(kOp, name, t, weights);
}

}  // namespace

void adamw_step(const AdamwStep& op, Stream& stream) {
  require_rank(kOp, "weights", op.weights, 1, "[n]");
  require_float(kOp, "weights", op.weights);
  require_not_empty(kOp, "weights", op.weights);
  if (op.rounding) {
    require_dtype(kOp, "weights", op.weights, DType::kBFloat16);
    if (op.remainder)
      refuse("ERR_SHAPE", kOp, "remainder", "none with stochastic rounding",
             shape_text(op.remainder));
    require_range(kOp, "offset", op.rounding->offset >= 0, "at least 0",
                  std::to_string(op.rounding->offset));
  } else {
    require_remainder(kOp, op.remainder, op.weights);
  }
  require_state("m", op.m, op.weights);
  require_state("v", op.v, op.weights);
  require_same_shape(kOp, "grad", op.grad, op.weights);
  require_float(kOp, "grad", op.grad);
  require_same_device(kOp, "grad", op.grad, op.weights);
  if (op.grad_norm) {
    require_shape(kOp, "gradNorm", op.grad_norm, {1});
    require_dtype(kOp, "gradNorm", op.grad_norm, DType::kFloat32);
    require_same_device(kOp, "gradNorm", op.grad_norm, op.weights);
  } else if (op.max_norm != 0) {
    refuse("ERR_SHAPE", kOp, "gradNorm", "[1] with maxGradNorm", "none");
  }
  if (op.skipped) {
    require_shape(kOp, "skipped", op.skipped, {1});
    require_dtype(kOp, "skipped", op.skipped, DType::kInt32);
    require_same_device(kOp, "skipped", op.skipped, op.weights);
  }
  require_number("lr", op.lr, 0, 1e6);
  require_number("beta1", op.beta1, 0, 1);
  require_number("beta2", op.beta2, 0, 1);
  require_number("eps", op.eps, 0, 1);
  require_number("weightDecay", op.weight_decay, 0, 1e6);
  require_range(kOp, "maxGradNorm", op.max_norm >= 0 && std::isfinite(op.max_norm),
                "a finite number of at least 0", std::to_string(op.max_norm));
  require_range(kOp, "step", op.step >= 1, "at least 1", std::to_string(op.step));
  dispatch(kOp, &OpTable::adamw_step, op, stream);
}

}  // namespace srpo
