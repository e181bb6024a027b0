#include "cpp/binding/arguments.h"
#include "cpp/binding/guarded.h"
#include "cpp/binding/register.h"
#include "cpp/core/check.h"
#include "cpp/ops/recovery/recover.h"

namespace srpo::binding {
namespace {

// recoverForward(clean, noise, velocity, g, height, width, scalingFactor, shiftFactor) -> z
Napi::Value recover_forward(const Napi::CallbackInfo& info) {
  const Arguments args(info, "recover");
  const Tensor clean = args.tensor(0, "clean");
  const Tensor noise = args.tensor(1, "noise");
  const Tensor velocity = args.tensor(2, "velocity");
  const std::vector<float> g = args.numbers(3, "g");
  const int64_t H = args.integer(4, "height"), W = args.integer(5, "width");
  const float scaling = args.number(6, "scalingFactor");
  recover_check(clean, noise, velocity, g, H, W, scaling);

  const Tensor z = Tensor::empty({velocity->dim(0), H, W, velocity->dim(2) / 4}, velocity->dtype,
                                 velocity.device());
  const RecoverForward op{
      .z = z,
      .clean = clean,
      .noise = noise,
      .velocity = velocity,
      .g = g,
      .scaling = scaling,
      .shift = args.number(7, "shiftFactor"),
  };
  srpo::recover_forward(op, velocity.stream());
  return args.handle(z);
}

// recoverBackward(dz, g, scalingFactor) -> dvelocity
Napi::Value recover_backward(const Napi::CallbackInfo& info) {
  const Arguments args(info, "recover backward");
  const Tensor dz = args.tensor(0, "dz");
  require_rank(args.op(), "dz", dz, 4, "[B, H, W, C]");
  const auto [B, H, W, C] = dz->sizes<4>();
  const Tensor dvelocity = Tensor::empty({B, H / 2 * (W / 2), 4 * C}, dz->dtype, dz.device());
  const RecoverBackward op{
      .dvelocity = dvelocity,
      .dz = dz,
      .g = args.numbers(1, "g"),
      .scaling = args.number(2, "scalingFactor"),
  };
  srpo::recover_backward(op, dz.stream());
  return args.handle(dvelocity);
}

}  // namespace

void register_recovery(Napi::Env env, Napi::Object exports) {
  define<recover_forward>(env, exports, "recoverForward");
  define<recover_backward>(env, exports, "recoverBackward");
}

}  // namespace srpo::binding
