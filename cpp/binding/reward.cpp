#include "cpp/binding/arguments.h"
#include "cpp/binding/guarded.h"
#include "cpp/binding/register.h"
#include "cpp/core/check.h"
#include "cpp/ops/reward/l2_normalize.h"
#include "cpp/ops/reward/relative_reward.h"

namespace srpo::binding {
namespace {

// l2NormalizeForward(x, eps) -> [y, norm]
Napi::Value l2_normalize_forward(const Napi::CallbackInfo& info) {
  const Arguments args(info, "l2Normalize");
  const Tensor x = args.tensor(0, "x");
  require_rank("l2Normalize", "x", x, 2, "[B, D]");
  const Tensor y = Tensor::like(x);
  const Tensor norm = Tensor::empty({x->dim(0)}, DType::kFloat32, x.device());
  srpo::l2_normalize_forward({.y = y, .norm = norm, .x = x, .eps = args.number(1, "eps")},
                             x.stream());
  return args.handles({y, norm});
}

// l2NormalizeBackward(dy, x, norm, eps) -> dx
Napi::Value l2_normalize_backward(const Napi::CallbackInfo& info) {
  const Arguments args(info, "l2Normalize backward");
  const Tensor dy = args.tensor(0, "dy");
  const Tensor x = args.tensor(1, "x");
  const Tensor norm = args.tensor(2, "norm");
  const Tensor dx = Tensor::like(x);
  srpo::l2_normalize_backward(
      {.dx = dx, .dy = dy, .x = x, .norm = norm, .eps = args.number(3, "eps")}, x.stream());
  return args.handle(dx);
}

// relativeRewardForward(pooled, projection, positive, negative, k, scale)
//   -> [reward, features, norm]
Napi::Value relative_reward_forward(const Napi::CallbackInfo& info) {
  const Arguments args(info, "relativeReward");
  const Tensor pooled = args.tensor(0, "pooled");
  const Tensor projection = args.tensor(1, "projection");
  const Tensor positive = args.tensor(2, "positive");
  const Tensor negative = args.tensor(3, "negative");
  require_rank("relativeReward", "pooled", pooled, 2, "[B, W]");
  require_rank("relativeReward", "projection", projection, 2, "[E, W]");

  const int64_t B = pooled->dim(0), E = projection->dim(0);
  const Tensor reward = Tensor::empty({B}, DType::kFloat32, pooled.device());
  const Tensor features = Tensor::empty({B, E}, DType::kFloat32, pooled.device());
  const Tensor norm = Tensor::like(reward);
  const RelativeRewardForward op{
      .reward = reward,
      .features = features,
      .norm = norm,
      .pooled = pooled,
      .projection = projection,
      .positive = positive,
      .negative = negative,
      .k = args.numbers(4, "k"),
      .scale = args.number(5, "scale"),
  };
  srpo::relative_reward_forward(op, pooled.stream());
  return args.handles({reward, features, norm});
}

// relativeRewardBackward(dprojection, dreward, dfeatures, features, norm, pooled, projection,
//   positive, negative, k, scale, wantsDpooled) -> dpooled; adds to dprojection
Napi::Value relative_reward_backward(const Napi::CallbackInfo& info) {
  const Arguments args(info, "relativeReward backward");
  const Tensor dprojection = args.optional_tensor(0, "dprojection");
  const Tensor dreward = args.optional_tensor(1, "dreward");
  const Tensor dfeatures = args.optional_tensor(2, "dfeatures");
  const Tensor features = args.tensor(3, "features");
  const Tensor norm = args.tensor(4, "norm");
  const Tensor pooled = args.tensor(5, "pooled");
  const Tensor projection = args.tensor(6, "projection");
  const Tensor positive = args.tensor(7, "positive");
  const Tensor negative = args.tensor(8, "negative");
  const Tensor dpooled = args.boolean(11, "wantsDpooled") ? Tensor::like(pooled) : Tensor();
  const RelativeRewardBackward op{
      .dpooled = dpooled,
      .dprojection = dprojection,
      .dreward = dreward,
      .dfeatures = dfeatures,
      .features = features,
      .norm = norm,
      .pooled = pooled,
      .projection = projection,
      .positive = positive,
      .negative = negative,
      .k = args.numbers(9, "k"),
      .scale = args.number(10, "scale"),
  };
  srpo::relative_reward_backward(op, pooled.stream());
  return dpooled ? args.handle(dpooled) : info.Env().Null();
}

}  // namespace

void register_reward(Napi::Env env, Napi::Object exports) {
  define<l2_normalize_forward>(env, exports, "l2NormalizeForward");
  define<l2_normalize_backward>(env, exports, "l2NormalizeBackward");
  define<relative_reward_forward>(env, exports, "relativeRewardForward");
  define<relative_reward_backward>(env, exports, "relativeRewardBackward");
}

}  // namespace srpo::binding
