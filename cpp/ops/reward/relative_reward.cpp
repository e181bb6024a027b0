#include "cpp/ops/reward/relative_reward.h"

#include <cmath>

#include "cpp/core/check.h"
#include "cpp/ops/op_table.h"

namespace srpo {

namespace {

/// What both directions ask of the features' inputs.
template <typename Op>
void require_inputs(const char* kOp, const Op& op) {
  require_rank(kOp, "pooled", op.pooled, 2, "[B, W]");
  require_float(kOp, "pooled", op.pooled);
  require_not_empty(kOp, "pooled", op.pooled);
  const auto [B, W] = op.pooled.template sizes<2>();
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
}

}  // namespace

void relative_reward_forward(const RelativeRewardForward& op, Stream& stream) {
  constexpr auto kOp = "relativeReward";
  require_inputs(kOp, op);
  dispatch(kOp, &OpTable::relative_reward_forward, op, stream);
}

void relative_reward_backward(const RelativeRewardBackward& op, Stream& stream) {
  constexpr auto kOp = "relativeReward backward";
  require_inputs(kOp, op);
  const int64_t B = op.pooled.dim(0), E = op.projection.dim(0);
  require_float32(kOp, "features", op.features, {B, E}, op.pooled);
  require_float32(kOp, "norm", op.norm, {B}, op.pooled);
  if (op.dreward) require_float32(kOp, "dreward", op.dreward, {B}, op.pooled);
  if (op.dfeatures) require_float32(kOp, "dfeatures", op.dfeatures, {B, E}, op.pooled);
  if (op.dprojection) require_float32_like(kOp, "dprojection", op.dprojection, op.projection);
  dispatch(kOp, &OpTable::relative_reward_backward, op, stream);
}

}  // namespace srpo
