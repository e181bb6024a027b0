#include "cpp/binding/arguments.h"
#include "cpp/binding/guarded.h"
#include "cpp/binding/register.h"
#include "cpp/core/check.h"
#include "cpp/ops/conv/conv2d.h"
#include "cpp/ops/norm/group_norm.h"

namespace srpo::binding {
namespace {

// Takes three arguments: stride, padding [top, right, bottom, left], upsample.
Conv2dGeometry geometry_of(const Arguments& args, size_t first) {
  const std::vector<int64_t> padding = args.integers(first + 1, "padding");
  require_range(args.op(), "padding", padding.size() == 4, "four sizes",
                std::to_string(padding.size()));
  return {.stride = args.integer(first, "stride"),
          .top = padding[0],
          .right = padding[1],
          .bottom = padding[2],
          .left = padding[3],
          .upsample = args.boolean(first + 2, "upsample")};
}

// conv2dForward(x, w, b, residual, stride, padding, upsample, groups) -> [y, statistics]; groups null: none, null
Napi::Value conv2d_forward(const Napi::CallbackInfo& info) {
  const Arguments args(info, "conv2d");
  const Tensor x = args.tensor(0, "x");
  const Tensor w = args.tensor(1, "w");
  const Tensor bias = args.optional_tensor(2, "b");
  const Tensor residual = args.optional_tensor(3, "residual");
  const Conv2dGeometry g = geometry_of(args, 4);
  conv2d_check(args.op(), x, w, g);

  const Tensor y = Tensor::empty(
      {x->dim(0), g.rows(x->dim(1), w->dim(1)), g.columns(x->dim(2), w->dim(2)), w->dim(0)},
      x->dtype, x.device());
  Tensor statistics;
  if (!args.raw(7).IsNull()) {
    const int64_t groups = args.integer(7, "groups");
    group_norm_check(args.op(), y, groups);
    statistics = Tensor::empty({x->dim(0), groups, 2}, DType::kFloat32, x.device());
  }
  const Conv2dForward op{.y = y,
                         .x = x,
                         .w = w,
                         .bias = bias,
                         .residual = residual,
                         .statistics = statistics,
                         .geometry = g};
  srpo::conv2d_forward(op, x.stream());
  return args.handles({y, statistics});
}

// conv2dBackward(dy, x, w, dw, db, wantsDx, stride, padding, upsample) -> dx or null; adds to dw, db
Napi::Value conv2d_backward(const Napi::CallbackInfo& info) {
  const Arguments args(info, "conv2d backward");
  const Tensor dy = args.tensor(0, "dy");
  const Tensor x = args.tensor(1, "x");
  const Tensor w = args.tensor(2, "w");
  const Tensor dw = args.optional_tensor(3, "dw");
  const Tensor db = args.optional_tensor(4, "db");
  const Tensor dx = args.boolean(5, "wantsDx") ? Tensor::like(x) : Tensor();
  const Conv2dBackward op{
      .dx = dx, .dw = dw, .dbias = db, .dy = dy, .x = x, .w = w, .geometry = geometry_of(args, 6)};
  srpo::conv2d_backward(op, x.stream());
  return dx ? args.handle(dx) : args.env().Null();
}

}  // namespace

void register_conv(Napi::Env env, Napi::Object exports) {
  define<conv2d_forward>(env, exports, "conv2dForward");
  define<conv2d_backward>(env, exports, "conv2dBackward");
}

}  // namespace srpo::binding
