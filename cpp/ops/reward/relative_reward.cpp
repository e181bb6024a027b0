#include "cpp/ops/reward/relative_reward.h"

#include <cmath>

#include "cpp/core/check.h"
#include "cpp/ops/op_table.h"

namespace srpo {

void relative_reward_forward(const RelativeRewardForward& op, Stream& stream) {
  constexpr auto kOp = "relativeReward";
  require_rank(kOp, "pooled", op.pooled, 2, "[B, W]");
  require_float(kOp, "pooled", op.pooled);
  require_not_empty(kOp, "pooled", op.pooled);
  const auto [B, W] = op.pooled.sizes<2>();
  require_shape(kOp, "projection", op.projection, {-1, W});
  require_like(kOp, "projection", op.projection, op.pooled);
  require_not_empty(kOp, "projection", op.projection);
  const int64_t E = op.projection.dim(0);
  require_shape(kOp, "positive", op.positive, {B, E});
  require_float(kOp, "positive", op.positive);
  require_same_device(kOp, "positive", op.positive, op.pooled);
  require_shape(kOp, "negative", op.negative, {B, E});
  require_float(kOp, "negative", op.negative);
  require_same_device(kOp, "negative", op.negative, op.pooled);
  if (static_cast<int64_t>(op.k.size()) != B)
    refuse("ERR_SHAPE", kOp, "k", std::to_string(B) + " numbers", std::to_string(op.k.size()));
  for (const float k : op.k)
    require_range(kOp, "k", std::isfinite(k), "finite numbers", std::to_string(k));
  require_range(kOp, "scale", std::isfinite(op.scale), "a finite number", std::to_string(op.scale));
  dispatch(kOp, &OpTable::relative_reward_forward, op, stream);
}

void relative_reward_backward(const RelativeRewardBackward& op, Stream& stream) {
  constexpr auto kOp = "relativeReward backward";
  if (op.dreward) {
    require_shape(kOp, "dreward", op.dreward, {op.pooled.dim(0)});
    require_dtype(kOp, "dreward", op.dreward, DType::kFloat32);
  }
  if (op.dfeatures) {
    require_same_shape(kOp, "dfeatures", op.dfeatures, op.features);
    require_dtype(kOp, "dfeatures", op.dfeatures, DType::kFloat32);
  }
  if (op.dprojection) {
    require_same_shape(kOp, "dprojection", op.dprojection, op.projection);
    require_dtype(kOp, "dprojection", op.dprojection, DType::kFloat32);
  }
  dispatch(kOp, &OpTable::relative_reward_backward, op, stream);
}

}  // namespace srpo
