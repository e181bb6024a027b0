#include "cpp/binding/arguments.h"
#include "cpp/binding/guarded.h"
#include "cpp/binding/register.h"
#include "cpp/ops/elementwise/add.h"
#include "cpp/ops/elementwise/binary.h"
#include "cpp/ops/elementwise/cast.h"
#include "cpp/ops/elementwise/combine.h"
#include "cpp/ops/elementwise/fill.h"
#include "cpp/ops/elementwise/gated_residual.h"
#include "cpp/ops/elementwise/timestep_embedding.h"
#include "cpp/ops/elementwise/unary.h"

#include <algorithm>

namespace srpo::binding {
namespace {

/// A literal as a template argument: an op's or a parameter's name.
template <size_t N>
struct Name {
  char text[N];
  consteval Name(const char (&literal)[N]) { std::copy_n(literal, N, text); }
};

/// The op's parameters, which follow its tensors.
template <Name... names, typename Op>
void read_parameters([[maybe_unused]] const Arguments& args, [[maybe_unused]] size_t index,
                     [[maybe_unused]] Op& op) {
  [[maybe_unused]] float* into = &op.a;
  ((*into = args.number(index++, names.text), into = &op.b), ...);
}

// <op>Forward(x, ...parameters) -> y
template <Name name, void (*run)(const UnaryForward&, Stream&), Name... parameters>
Napi::Value unary_forward(const Napi::CallbackInfo& info) {
  const Arguments args(info, name.text);
  const Tensor x = args.tensor(0, "x");
  const Tensor y = Tensor::like(x);
  UnaryForward op{.y = y, .x = x};
  read_parameters<parameters...>(args, 1, op);
  run(op, x.stream());
  return args.handle(y);
}

// <op>Backward(dy, x, ...parameters) -> dx
template <Name name, void (*run)(const UnaryBackward&, Stream&), Name... parameters>
Napi::Value unary_backward(const Napi::CallbackInfo& info) {
  const Arguments args(info, name.text);
  const Tensor dy = args.tensor(0, "dy");
  const Tensor x = args.tensor(1, "x");
  const Tensor dx = Tensor::like(x);
  UnaryBackward op{.dx = dx, .dy = dy, .x = x};
  read_parameters<parameters...>(args, 2, op);
  run(op, x.stream());
  return args.handle(dx);
}

// <op>Forward(a, b) -> y
template <Name name, void (*run)(const BinaryForward&, Stream&)>
Napi::Value binary_forward(const Napi::CallbackInfo& info) {
  const Arguments args(info, name.text);
  const Tensor a = args.tensor(0, "a");
  const Tensor b = args.tensor(1, "b");
  const Tensor y = Tensor::like(a);
  run({.y = y, .a = a, .b = b}, a.stream());
  return args.handle(y);
}

// addForward(a, b) -> y
Napi::Value add_forward(const Napi::CallbackInfo& info) {
  const Arguments args(info, "add");
  const Tensor a = args.tensor(0, "a");
  const Tensor b = args.tensor(1, "b");
  const Tensor y = Tensor::like(a);
  srpo::add_forward({.y = y, .a = a, .b = b}, a.stream());
  return args.handle(y);
}

// accumulate(into, from)
Napi::Value accumulate(const Napi::CallbackInfo& info) {
  const Arguments args(info, "accumulate");
  const Tensor into = args.tensor(0, "into");
  const Tensor from = args.tensor(1, "from");
  srpo::accumulate({.into = into, .from = from}, into.stream());
  return info.Env().Undefined();
}

// cast(x, dtype) -> y
Napi::Value cast(const Napi::CallbackInfo& info) {
  const Arguments args(info, "cast");
  const Tensor x = args.tensor(0, "x");
  const Tensor y = Tensor::like(x, args.dtype(1, "dtype"));
  srpo::cast({.y = y, .x = x}, x.stream());
  return args.handle(y);
}

// gatedResidualForward(x, gate, y) -> out
Napi::Value gated_residual_forward(const Napi::CallbackInfo& info) {
  const Arguments args(info, "gatedResidual");
  const Tensor x = args.tensor(0, "x");
  const Tensor gate = args.tensor(1, "gate");
  const Tensor y = args.tensor(2, "y");
  const Tensor out = Tensor::like(x);
  srpo::gated_residual_forward({.out = out, .x = x, .gate = gate, .y = y}, x.stream());
  return args.handle(out);
}

// gatedResidualBackward(dout, gate, y, wantsDgate, wantsDy) -> [dgate | null, dy | null]
Napi::Value gated_residual_backward(const Napi::CallbackInfo& info) {
  const Arguments args(info, "gatedResidual backward");
  const Tensor dout = args.tensor(0, "dout");
  const Tensor gate = args.tensor(1, "gate");
  const Tensor y = args.tensor(2, "y");
  const Tensor dgate = args.boolean(3, "wantsDgate") ? Tensor::like(gate) : Tensor();
  const Tensor dy = args.boolean(4, "wantsDy") ? Tensor::like(y) : Tensor();
  const GatedResidualBackward op{
      .dgate = dgate,
      .dy = dy,
      .dout = dout,
      .gate = gate,
      .y = y,
  };
  srpo::gated_residual_backward(op, dout.stream());
  return args.handles({dgate, dy});
}

// combineForward(x, y | null, cx, cy, dtype) -> out
Napi::Value combine_forward(const Napi::CallbackInfo& info) {
  const Arguments args(info, "combine");
  const Tensor x = args.tensor(0, "x");
  const Tensor y = args.optional_tensor(1, "y");
  const Tensor out = Tensor::like(x, args.dtype(4, "dtype"));
  const CombineForward op{
      .out = out,
      .x = x,
      .y = y,
      .cx = args.numbers(2, "coefficients.x"),
      .cy = args.numbers(3, "coefficients.y"),
  };
  srpo::combine_forward(op, x.stream());
  return args.handle(out);
}

// timestepEmbedding(t, dim, dtype, device) -> y
Napi::Value timestep_embedding(const Napi::CallbackInfo& info) {
  const Arguments args(info, "timestepEmbedding");
  const std::vector<float> t = args.numbers(0, "t");
  const Tensor y = Tensor::empty({static_cast<int64_t>(t.size()), args.integer(1, "dim")},
                                 args.dtype(2, "dtype"), args.device(3, "device"));
  srpo::timestep_embedding({.y = y, .t = t}, y.stream());
  return args.handle(y);
}

// fill(t, value)
Napi::Value fill(const Napi::CallbackInfo& info) {
  const Arguments args(info, "fill");
  const Tensor t = args.tensor(0, "t");
  srpo::fill({.y = t, .value = args.number(1, "value")}, t.stream());
  return info.Env().Undefined();
}

}  // namespace

void register_elementwise(Napi::Env env, Napi::Object exports) {
  define<add_forward>(env, exports, "addForward");
  define<accumulate>(env, exports, "accumulate");
  define<cast>(env, exports, "cast");
  define<binary_forward<"sub", srpo::sub_forward>>(env, exports, "subForward");
  define<binary_forward<"mul", srpo::mul_forward>>(env, exports, "mulForward");
  define<unary_forward<"silu", srpo::silu_forward>>(env, exports, "siluForward");
  define<unary_backward<"silu backward", srpo::silu_backward>>(env, exports, "siluBackward");
  define<unary_forward<"gelu", srpo::gelu_tanh_forward>>(env, exports, "geluTanhForward");
  define<unary_backward<"gelu backward", srpo::gelu_tanh_backward>>(env, exports,
                                                                    "geluTanhBackward");
  define<unary_forward<"gelu", srpo::gelu_erf_forward>>(env, exports, "geluErfForward");
  define<unary_backward<"gelu backward", srpo::gelu_erf_backward>>(env, exports, "geluErfBackward");
  define<unary_forward<"gelu", srpo::quick_gelu_forward>>(env, exports, "quickGeluForward");
  define<unary_backward<"gelu backward", srpo::quick_gelu_backward>>(env, exports,
                                                                     "quickGeluBackward");
  define<unary_forward<"relu", srpo::relu_forward>>(env, exports, "reluForward");
  define<unary_backward<"relu backward", srpo::relu_backward>>(env, exports, "reluBackward");
  define<unary_forward<"exp", srpo::exp_forward>>(env, exports, "expForward");
  define<unary_backward<"exp backward", srpo::exp_backward>>(env, exports, "expBackward");
  define<unary_forward<"clamp", srpo::clamp_forward, "lo", "hi">>(env, exports, "clampForward");
  define<unary_backward<"clamp backward", srpo::clamp_backward, "lo", "hi">>(env, exports,
                                                                             "clampBackward");
  define<unary_forward<"affine", srpo::affine_forward, "a", "b">>(env, exports, "affineForward");
  define<unary_forward<"scale", srpo::scale_forward, "s">>(env, exports, "scaleForward");
  define<gated_residual_forward>(env, exports, "gatedResidualForward");
  define<gated_residual_backward>(env, exports, "gatedResidualBackward");
  define<combine_forward>(env, exports, "combineForward");
  define<timestep_embedding>(env, exports, "timestepEmbedding");
  define<fill>(env, exports, "fill");
}

}  // namespace srpo::binding
