#include "cpp/binding/arguments.h"
#include "cpp/binding/guarded.h"
#include "cpp/binding/register.h"
#include "cpp/core/check.h"
#include "cpp/ops/loss/gaussian_log_density.h"
#include "cpp/ops/loss/hinge.h"
#include "cpp/ops/loss/mse.h"
#include "cpp/ops/loss/softmax_cross_entropy.h"
#include "cpp/ops/loss/sum.h"

namespace srpo::binding {
namespace {

Tensor one_like(const Tensor& x) {
  return Tensor::empty({1}, DType::kFloat32, x.device());
}

double share(const Tensor& x) {
  return 1.0 / static_cast<double>(x->numel());
}

Tensor total(const Tensor& x, double scale, const char* name) {
  const Tensor y = one_like(x);
  srpo::sum_forward({.y = y, .x = x, .scale = scale}, name, x.stream());
  return y;
}

Tensor spread(const Tensor& dy, const Tensor& x, double scale, const char* name) {
  const Tensor dx = Tensor::like(x);
  srpo::sum_backward({.dx = dx, .dy = dy, .scale = scale}, name, x.stream());
  return dx;
}

// sumForward(x) -> y, meanForward(x) -> y
Napi::Value sum_forward(const Napi::CallbackInfo& info) {
  const Arguments args(info, "sum");
  return args.handle(total(args.tensor(0, "x"), 1, "sum"));
}
Napi::Value mean_forward(const Napi::CallbackInfo& info) {
  const Arguments args(info, "mean");
  const Tensor x = args.tensor(0, "x");
  return args.handle(total(x, share(x), "mean"));
}

// sumBackward(dy, x) -> dx, meanBackward(dy, x) -> dx
Napi::Value sum_backward(const Napi::CallbackInfo& info) {
  const Arguments args(info, "sum backward");
  return args.handle(spread(args.tensor(0, "dy"), args.tensor(1, "x"), 1, "sum backward"));
}
Napi::Value mean_backward(const Napi::CallbackInfo& info) {
  const Arguments args(info, "mean backward");
  const Tensor x = args.tensor(1, "x");
  return args.handle(spread(args.tensor(0, "dy"), x, share(x), "mean backward"));
}

// hingeForward(reward, margin, weight) -> y
Napi::Value hinge_forward(const Napi::CallbackInfo& info) {
  const Arguments args(info, "hinge");
  const Tensor reward = args.tensor(0, "reward");
  const Tensor y = one_like(reward);
  const HingeForward op{
      .y = y,
      .reward = reward,
      .margin = args.number(1, "margin"),
      .weight = args.number(2, "weight"),
  };
  srpo::hinge_forward(op, reward.stream());
  return args.handle(y);
}

// hingeBackward(dy, reward, margin, weight) -> dreward
Napi::Value hinge_backward(const Napi::CallbackInfo& info) {
  const Arguments args(info, "hinge backward");
  const Tensor dy = args.tensor(0, "dy");
  const Tensor reward = args.tensor(1, "reward");
  const Tensor dreward = Tensor::like(reward);
  const HingeBackward op{
      .dreward = dreward,
      .dy = dy,
      .reward = reward,
      .margin = args.number(2, "margin"),
      .weight = args.number(3, "weight"),
  };
  srpo::hinge_backward(op, reward.stream());
  return args.handle(dreward);
}

// mseForward(a, b) -> y
Napi::Value mse_forward(const Napi::CallbackInfo& info) {
  const Arguments args(info, "mse");
  const Tensor a = args.tensor(0, "a");
  const Tensor b = args.tensor(1, "b");
  const Tensor y = one_like(a);
  srpo::mse_forward({.y = y, .a = a, .b = b}, a.stream());
  return args.handle(y);
}

// mseBackward(dy, a, b, wantsDa, wantsDb) -> [da, db]
Napi::Value mse_backward(const Napi::CallbackInfo& info) {
  const Arguments args(info, "mse backward");
  const Tensor dy = args.tensor(0, "dy");
  const Tensor a = args.tensor(1, "a");
  const Tensor b = args.tensor(2, "b");
  const Tensor da = args.boolean(3, "wantsDa") ? Tensor::like(a) : Tensor();
  const Tensor db = args.boolean(4, "wantsDb") ? Tensor::like(b) : Tensor();
  srpo::mse_backward({.da = da, .db = db, .dy = dy, .a = a, .b = b}, a.stream());
  return args.handles({da, db});
}

// softmaxCrossEntropyForward(logits, target) -> [y, lse]
Napi::Value softmax_cross_entropy_forward(const Napi::CallbackInfo& info) {
  const Arguments args(info, "softmaxCrossEntropy");
  const Tensor logits = args.tensor(0, "logits");
  const Tensor target = args.tensor(1, "target");
  require_rank("softmaxCrossEntropy", "logits", logits, 2, "[B, C]");
  const Tensor y = one_like(logits);
  const Tensor lse = Tensor::empty({logits->dim(0)}, DType::kFloat32, logits.device());
  srpo::softmax_cross_entropy_forward({.y = y, .lse = lse, .logits = logits, .target = target},
                                      logits.stream());
  return args.handles({y, lse});
}

// softmaxCrossEntropyBackward(dy, logits, target, lse) -> dlogits
Napi::Value softmax_cross_entropy_backward(const Napi::CallbackInfo& info) {
  const Arguments args(info, "softmaxCrossEntropy backward");
  const Tensor dy = args.tensor(0, "dy");
  const Tensor logits = args.tensor(1, "logits");
  const Tensor target = args.tensor(2, "target");
  const Tensor lse = args.tensor(3, "lse");
  const Tensor dlogits = Tensor::like(logits);
  const SoftmaxCrossEntropyBackward op{
      .dlogits = dlogits,
      .dy = dy,
      .logits = logits,
      .target = target,
      .lse = lse,
  };
  srpo::softmax_cross_entropy_backward(op, logits.stream());
  return args.handle(dlogits);
}

// gaussianLogDensityForward(x, mean, std) -> y
Napi::Value gaussian_log_density_forward(const Napi::CallbackInfo& info) {
  const Arguments args(info, "gaussianLogDensity");
  const Tensor x = args.tensor(0, "x");
  const Tensor mean = args.tensor(1, "mean");
  if (x->rank < 1) refuse("ERR_SHAPE", "gaussianLogDensity", "x", "[B, ...]", shape_text(x));
  const Tensor y = Tensor::empty({x->dim(0)}, DType::kFloat32, x.device());
  srpo::gaussian_log_density_forward({.y = y, .x = x, .mean = mean, .std = args.numbers(2, "std")},
                                     x.stream());
  return args.handle(y);
}

// gaussianLogDensityBackward(dy, x, mean, std, wantsDx, wantsDmean) -> [dx, dmean]
Napi::Value gaussian_log_density_backward(const Napi::CallbackInfo& info) {
  const Arguments args(info, "gaussianLogDensity backward");
  const Tensor dy = args.tensor(0, "dy");
  const Tensor x = args.tensor(1, "x");
  const Tensor mean = args.tensor(2, "mean");
  const Tensor dx = args.boolean(4, "wantsDx") ? Tensor::like(x) : Tensor();
  const Tensor dmean = args.boolean(5, "wantsDmean") ? Tensor::like(mean) : Tensor();
  const GaussianLogDensityBackward op{
      .dx = dx,
      .dmean = dmean,
      .dy = dy,
      .x = x,
      .mean = mean,
      .std = args.numbers(3, "std"),
  };
  srpo::gaussian_log_density_backward(op, x.stream());
  return args.handles({dx, dmean});
}

}  // namespace

void register_loss(Napi::Env env, Napi::Object exports) {
  define<sum_forward>(env, exports, "sumForward");
  define<sum_backward>(env, exports, "sumBackward");
  define<mean_forward>(env, exports, "meanForward");
  define<mean_backward>(env, exports, "meanBackward");
  define<hinge_forward>(env, exports, "hingeForward");
  define<hinge_backward>(env, exports, "hingeBackward");
  define<mse_forward>(env, exports, "mseForward");
  define<mse_backward>(env, exports, "mseBackward");
  define<softmax_cross_entropy_forward>(env, exports, "softmaxCrossEntropyForward");
  define<softmax_cross_entropy_backward>(env, exports, "softmaxCrossEntropyBackward");
  define<gaussian_log_density_forward>(env, exports, "gaussianLogDensityForward");
  define<gaussian_log_density_backward>(env, exports, "gaussianLogDensityBackward");
}

}  // namespace srpo::binding
