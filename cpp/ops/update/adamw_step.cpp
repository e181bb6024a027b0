#include "cpp/ops/update/adamw_step.h"

#include <cmath>

#include "cpp/core/check.h"
#include "cpp/ops/op_table.h"
#include "cpp/ops/update/master.h"
#include "cpp/ops/update/moments.h"

namespace srpo {
namespace {

constexpr auto kOp = "adamwStep";

void require_number(const char* name, double value, double low, double below) {
  require_range(kOp, name, value >= low && value < below,
                std::to_string(low) + " to below " + std::to_string(below), std::to_string(value));
}

void require_offset(const StochasticRounding& rounding, int64_t multiple) {
  require_range(kOp, "offset", rounding.offset >= 0 && rounding.offset % multiple == 0,
                multiple == 1 ? "at least 0" : "a multiple of " + std::to_string(multiple),
                std::to_string(rounding.offset));
}

void require_factors(const Factors& factors, const TensorView& weights) {
  const auto& [dy, x, first] = factors;
  require_rank(kOp, "dy", dy, 2, "[R, N]");
  require_float(kOp, "dy", dy);
  require_not_empty(kOp, "dy", dy);
  require_same_device(kOp, "dy", dy, weights);
  require_rank(kOp, "x", x, 2, "[R, K]");
  require_shape(kOp, "x", x, {dy.dim(0), -1});
  require_not_empty(kOp, "x", x);
  require_like(kOp, "x", x, dy);
  const int64_t most = dy.dim(1) * x.dim(1) - weights.numel();
  require_range(kOp, "first", first >= 0 && first <= most, "0 to " + std::to_string(most),
                std::to_string(first));
}

void require_moments(const AdamwStep& op) {
  const DType dtype = op.m.dtype;
  if (dtype != DType::kFloat32 && dtype != DType::kBFloat16 && dtype != DType::kUInt8)
    refuse("ERR_DTYPE", kOp, "m", "float32, bfloat16 or uint8", name_of(dtype));
  const bool coded = dtype == DType::kUInt8;
  const int64_t blocks = (op.weights.numel() + kMomentBlock - 1) / kMomentBlock;
  const auto require_one = [&](const char* name, const TensorView& moment, const char* scale_name,
                               const TensorView& scale) {
    require_same_shape(kOp, name, moment, op.weights);
    require_dtype(kOp, name, moment, dtype);
    require_same_device(kOp, name, moment, op.weights);
    if (coded && !scale)
      refuse("ERR_SHAPE", kOp, scale_name, "[" + std::to_string(blocks) + "] with uint8 moments",
             "none");
    if (!coded && scale)
      refuse("ERR_SHAPE", kOp, scale_name, "none but with uint8 moments", shape_text(scale));
    if (!coded) return;
    require_shape(kOp, scale_name, scale, {blocks});
    require_dtype(kOp, scale_name, scale, DType::kUInt8);
    require_same_device(kOp, scale_name, scale, op.weights);
  };
  require_one("m", op.m, "mScale", op.m_scale);
  require_one("v", op.v, "vScale", op.v_scale);
  if (op.moment_rounding.has_value() != (dtype != DType::kFloat32))
    refuse(
        "ERR_RANGE", kOp, "momentRounding",
        op.moment_rounding ? "none for float32 moments" : "a seed for moments that are no floats",
        op.moment_rounding ? "one" : "none");
  if (op.moment_rounding) require_offset(*op.moment_rounding, coded ? kMomentBlock : 1);
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
    require_offset(*op.rounding, 1);
  } else {
    require_remainder(kOp, op.remainder, op.weights);
  }
  require_moments(op);
  if (op.factors.dy) {
    if (op.grad) refuse("ERR_SHAPE", kOp, "grad", "none beside factors", shape_text(op.grad));
    require_factors(op.factors, op.weights);
  } else {
    require_same_shape(kOp, "grad", op.grad, op.weights);
    require_float(kOp, "grad", op.grad);
    require_same_device(kOp, "grad", op.grad, op.weights);
  }
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
