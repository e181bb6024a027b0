#include "cpp/binding/arguments.h"
#include "cpp/binding/guarded.h"
#include "cpp/binding/register.h"
#include "cpp/core/check.h"
#include "cpp/ops/norm/modulated_layer_norm.h"

namespace srpo::binding {
namespace {

// modulatedLayerNormForward(x, scale, shift, eps) -> [y, mean, rstd]
Napi::Value modulated_layer_norm_forward(const Napi::CallbackInfo& info) {
  const Arguments args(info, "modulatedLayerNorm");
  const Tensor x = args.tensor(0, "x");
  const Tensor scale = args.tensor(1, "scale");
  const Tensor shift = args.tensor(2, "shift");
  require_rank("modulatedLayerNorm", "x", x, 3, "[B, L, D]");

  const Tensor y = Tensor::like(x);
  const Tensor mean = Tensor::empty({x->dim(0), x->dim(1)}, DType::kFloat32, x.device());
  const Tensor rstd = Tensor::like(mean);
  const ModulatedLayerNormForward op{
      .y = y,
      .mean = mean,
      .rstd = rstd,
      .x = x,
      .scale = scale,
      .shift = shift,
      .eps = args.number(3, "eps"),
  };
  srpo::modulated_layer_norm_forward(op, x.stream());
  return args.handles({y, mean, rstd});
}

// modulatedLayerNormBackward(dy, x, scale, mean, rstd) -> [dx, dscale, dshift]
Napi::Value modulated_layer_norm_backward(const Napi::CallbackInfo& info) {
  const Arguments args(info, "modulatedLayerNorm backward");
  const Tensor dy = args.tensor(0, "dy");
  const Tensor x = args.tensor(1, "x");
  const Tensor scale = args.tensor(2, "scale");
  const Tensor mean = args.tensor(3, "mean");
  const Tensor rstd = args.tensor(4, "rstd");

  const Tensor dx = Tensor::like(x);
  const Tensor dscale = Tensor::like(scale);
  const Tensor dshift = Tensor::like(scale);
  const ModulatedLayerNormBackward op{
      .dx = dx,
      .dscale = dscale,
      .dshift = dshift,
      .dy = dy,
      .x = x,
      .scale = scale,
      .mean = mean,
      .rstd = rstd,
  };
  srpo::modulated_layer_norm_backward(op, x.stream());
  return args.handles({dx, dscale, dshift});
}

}  // namespace

void register_norm(Napi::Env env, Napi::Object exports) {
  define<modulated_layer_norm_forward>(env, exports, "modulatedLayerNormForward");
  define<modulated_layer_norm_backward>(env, exports, "modulatedLayerNormBackward");
}

}  // namespace srpo::binding
