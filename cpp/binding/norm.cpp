#include "cpp/binding/arguments.h"
#include "cpp/binding/guarded.h"
#include "cpp/binding/register.h"
#include "cpp/core/check.h"
#include "cpp/ops/norm/group_norm.h"
#include "cpp/ops/norm/layer_norm.h"
#include "cpp/ops/norm/modulated_layer_norm.h"
#include "cpp/ops/norm/rms_norm.h"

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

// layerNormForward(x, w | null, b | null, eps) -> [y, mean, rstd]
Napi::Value layer_norm_forward(const Napi::CallbackInfo& info) {
  const Arguments args(info, "layerNorm");
  const Tensor x = args.tensor(0, "x");
  const Tensor w = args.optional_tensor(1, "w");
  const Tensor b = args.optional_tensor(2, "b");

  const Tensor y = Tensor::like(x);
  const Tensor mean = Tensor::empty({x->rows()}, DType::kFloat32, x.device());
  const Tensor rstd = Tensor::like(mean);
  const LayerNormForward op{
      .y = y,
      .mean = mean,
      .rstd = rstd,
      .x = x,
      .w = w,
      .b = b,
      .eps = args.number(3, "eps"),
  };
  srpo::layer_norm_forward(op, x.stream());
  return args.handles({y, mean, rstd});
}

// layerNormBackward(dw | null, db | null, dy, x, w | null, mean, rstd, wantsDx) -> dx | null;
// adds to dw and db
Napi::Value layer_norm_backward(const Napi::CallbackInfo& info) {
  const Arguments args(info, "layerNorm backward");
  const Tensor dw = args.optional_tensor(0, "dw");
  const Tensor db = args.optional_tensor(1, "db");
  const Tensor dy = args.tensor(2, "dy");
  const Tensor x = args.tensor(3, "x");
  const Tensor w = args.optional_tensor(4, "w");
  const Tensor mean = args.tensor(5, "mean");
  const Tensor rstd = args.tensor(6, "rstd");

  const Tensor dx = args.boolean(7, "wantsDx") ? Tensor::like(x) : Tensor();
  const LayerNormBackward op{
      .dx = dx,
      .dw = dw,
      .db = db,
      .dy = dy,
      .x = x,
      .w = w,
      .mean = mean,
      .rstd = rstd,
  };
  srpo::layer_norm_backward(op, x.stream());
  return dx ? args.handle(dx) : info.Env().Null();
}

// rmsNormForward(x, w | null, eps) -> [y, rstd]
Napi::Value rms_norm_forward(const Napi::CallbackInfo& info) {
  const Arguments args(info, "rmsNorm");
  const Tensor x = args.tensor(0, "x");
  const Tensor w = args.optional_tensor(1, "w");

  const Tensor y = Tensor::like(x);
  const Tensor rstd = Tensor::empty({x->rows()}, DType::kFloat32, x.device());
  const RmsNormForward op{
      .y = y,
      .rstd = rstd,
      .x = x,
      .w = w,
      .eps = args.number(2, "eps"),
  };
  srpo::rms_norm_forward(op, x.stream());
  return args.handles({y, rstd});
}

// rmsNormBackward(dw | null, dy, x, w | null, rstd, wantsDx) -> dx | null; adds to dw
Napi::Value rms_norm_backward(const Napi::CallbackInfo& info) {
  const Arguments args(info, "rmsNorm backward");
  const Tensor dw = args.optional_tensor(0, "dw");
  const Tensor dy = args.tensor(1, "dy");
  const Tensor x = args.tensor(2, "x");
  const Tensor w = args.optional_tensor(3, "w");
  const Tensor rstd = args.tensor(4, "rstd");

  const Tensor dx = args.boolean(5, "wantsDx") ? Tensor::like(x) : Tensor();
  const RmsNormBackward op{
      .dx = dx,
      .dw = dw,
      .dy = dy,
      .x = x,
      .w = w,
      .rstd = rstd,
  };
  srpo::rms_norm_backward(op, x.stream());
  return dx ? args.handle(dx) : info.Env().Null();
}

// groupNormForward(x, w, b, statistics, groups, eps, silu) -> [y, mean, rstd]
Napi::Value group_norm_forward(const Napi::CallbackInfo& info) {
  const Arguments args(info, "groupNorm");
  const Tensor x = args.tensor(0, "x");
  const Tensor w = args.tensor(1, "w");
  const Tensor b = args.tensor(2, "b");
  const Tensor statistics = args.optional_tensor(3, "statistics");
  const int64_t groups = args.integer(4, "groups");
  group_norm_check(args.op(), x, groups);

  const Tensor y = Tensor::like(x);
  const Tensor mean = Tensor::empty({x->dim(0), groups}, DType::kFloat32, x.device());
  const Tensor rstd = Tensor::like(mean);
  const GroupNormForward op{
      .y = y,
      .mean = mean,
      .rstd = rstd,
      .x = x,
      .w = w,
      .b = b,
      .statistics = statistics,
      .eps = args.number(5, "eps"),
      .silu = args.boolean(6, "silu"),
  };
  srpo::group_norm_forward(op, x.stream());
  return args.handles({y, mean, rstd});
}

// groupNormBackward(dw, db, dy, x, w, b, mean, rstd, silu, wantsDx) -> dx or null; adds to dw, db
Napi::Value group_norm_backward(const Napi::CallbackInfo& info) {
  const Arguments args(info, "groupNorm backward");
  const Tensor dw = args.optional_tensor(0, "dw");
  const Tensor db = args.optional_tensor(1, "db");
  const Tensor dy = args.tensor(2, "dy");
  const Tensor x = args.tensor(3, "x");
  const Tensor w = args.tensor(4, "w");
  const Tensor b = args.tensor(5, "b");
  const Tensor mean = args.tensor(6, "mean");
  const Tensor rstd = args.tensor(7, "rstd");

  const Tensor dx = args.boolean(9, "wantsDx") ? Tensor::like(x) : Tensor();
  const GroupNormBackward op{
      .dx = dx,
      .dw = dw,
      .db = db,
      .dy = dy,
      .x = x,
      .w = w,
      .b = b,
      .mean = mean,
      .rstd = rstd,
      .silu = args.boolean(8, "silu"),
  };
  srpo::group_norm_backward(op, x.stream());
  return dx ? args.handle(dx) : args.env().Null();
}

}  // namespace

void register_norm(Napi::Env env, Napi::Object exports) {
  define<modulated_layer_norm_forward>(env, exports, "modulatedLayerNormForward");
  define<modulated_layer_norm_backward>(env, exports, "modulatedLayerNormBackward");
  define<layer_norm_forward>(env, exports, "layerNormForward");
  define<layer_norm_backward>(env, exports, "layerNormBackward");
  define<rms_norm_forward>(env, exports, "rmsNormForward");
  define<rms_norm_backward>(env, exports, "rmsNormBackward");
  define<group_norm_forward>(env, exports, "groupNormForward");
  define<group_norm_backward>(env, exports, "groupNormBackward");
}

}  // namespace srpo::binding
