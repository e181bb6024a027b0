#include "cpp/binding/activation.h"
#include "cpp/binding/arguments.h"
#include "cpp/binding/guarded.h"
#include "cpp/binding/register.h"
#include "cpp/core/check.h"
#include "cpp/ops/gemm/linear.h"
#include "cpp/ops/gemm/matmul.h"

namespace srpo::binding {
namespace {

/// A call of linear's forward, and the tensors that it is of for as long as it lives.
struct LinearCall {
  Tensor y, pre, x, w, b, residual, gate;
  ActivationKind activation;

  // x, w, b | null, residual | null, gate | null, act, save, into | null
  explicit LinearCall(const Arguments& args)
      : x(args.tensor(0, "x")),
        w(args.tensor(1, "w")),
        b(args.optional_tensor(2, "b")),
        residual(args.optional_tensor(3, "residual")),
        gate(args.optional_tensor(4, "gate")),
        activation(activation_of(args, 5, "act")) {
    require_rank("linear", "w", w, 2, "[N, K]");
    if (x->rank < 1) refuse("ERR_SHAPE", "linear", "x", "[..., K]", shape_text(x));
    auto shape = Tensor::shape_of(x);
    shape.back() = w->dim(0);
    const auto output = [&] { return Tensor::empty(shape, x->dtype, x.device()); };
    const Tensor into = args.optional_tensor(7, "into");
    y = into ? into : output();
    pre = args.boolean(6, "save") ? output() : Tensor();
  }

  LinearForward op() const {
    return {
        .y = y,
        .pre = pre,
        .x = x,
        .w = w,
        .b = b,
        .residual = residual,
        .gate = gate,
        .activation = activation,
    };
  }
};

/// The same of its backward.
struct LinearBackwardCall {
  Tensor dx, dw, db, squares, dgate, dpre, dy, x, w, pre, gate, input_pre, dx_before;
  ActivationKind activation, input_activation;

  // dy, x, w, pre | null, gate | null, act, dw | null, db | null, wantsDx, wantsDgate, inputPre | null,
  // inputAct, squares | null, split
  explicit LinearBackwardCall(const Arguments& args)
      : dw(args.optional_tensor(6, "dw")),
        db(args.optional_tensor(7, "db")),
        squares(args.optional_tensor(12, "squares")),
        dy(args.tensor(0, "dy")),
        x(args.tensor(1, "x")),
        w(args.tensor(2, "w")),
        pre(args.optional_tensor(3, "pre")),
        gate(args.optional_tensor(4, "gate")),
        input_pre(args.optional_tensor(10, "inputPre")),
        activation(activation_of(args, 5, "act")),
        input_activation(activation_of(args, 11, "inputAct")) {
    const int64_t split = args.integer(13, "split");
    if (x->rank < 1) refuse("ERR_SHAPE", args.op(), "x", "[..., K]", shape_text(x));
    require_range(args.op(), "split", split == 0 || (split > 0 && split < x->dim(-1)),
                  "less than x's " + std::to_string(x->dim(-1)) + " columns",
                  std::to_string(split));

    const bool changes = activation != ActivationKind::kNone || gate;
    const bool wants_dx = args.boolean(8, "wantsDx");
    const auto gradient_of = [&](int64_t columns) {
      auto shape = Tensor::shape_of(x);
      shape.back() = columns;
      return Tensor::empty(shape, x->dtype, x.device());
    };
    if (wants_dx) dx = gradient_of(x->dim(-1) - split);
    if (wants_dx && split > 0) dx_before = gradient_of(split);
    if (args.boolean(9, "wantsDgate") && gate) dgate = Tensor::like(gate);
    if (changes && (dx || dw)) dpre = Tensor::like(dy);
  }

  LinearBackward op() const {
    return {
        .dx = dx,
        .dw = dw,
        .db = db,
        .squares = squares,
        .dgate = dgate,
        .dpre = dpre,
        .dy = dy,
        .x = x,
        .w = w,
        .pre = pre,
        .gate = gate,
        .activation = activation,
        .input_pre = input_pre,
        .input_activation = input_activation,
        .dx_before = dx_before,
    };
  }
};

// linearForward(x, w, b | null, residual | null, gate | null, act, save, into | null) -> [y, pre | null]
Napi::Value linear_forward(const Napi::CallbackInfo& info) {
  const Arguments args(info, "linear");
  const LinearCall call(args);
  srpo::linear_forward(call.op(), call.x.stream());
  return args.handles({call.y, call.pre});
}

// linearBackward(dy, x, w, pre | null, gate | null, act, dw | null, db | null, wantsDx, wantsDgate,
//                inputPre | null, inputAct, squares | null, split) -> [dx | null, dgate | null, dxBefore | null]
Napi::Value linear_backward(const Napi::CallbackInfo& info) {
  const Arguments args(info, "linear backward");
  const LinearBackwardCall call(args);
  srpo::linear_backward(call.op(), call.x.stream());
  return args.handles({call.dx, call.dgate, call.dx_before});
}

// linearPairForward([linearForward's], [linearForward's]) -> [y, pre | null, y, pre | null]
Napi::Value linear_pair_forward(const Napi::CallbackInfo& info) {
  const Arguments args(info, "linear");
  const LinearCall first(args.nested(0, "first")), second(args.nested(1, "second"));
  srpo::linear_pair_forward({first.op(), second.op()}, first.x.stream());
  return args.handles({first.y, first.pre, second.y, second.pre});
}

// linearPairBackward([linearBackward's], [linearBackward's]) -> [dx | null, dgate | null, dxBefore | null, the same]
Napi::Value linear_pair_backward(const Napi::CallbackInfo& info) {
  const Arguments args(info, "linear backward");
  const LinearBackwardCall first(args.nested(0, "first")), second(args.nested(1, "second"));
  srpo::linear_pair_backward({first.op(), second.op()}, first.x.stream());
  return args.handles(
      {first.dx, first.dgate, first.dx_before, second.dx, second.dgate, second.dx_before});
}

// matmulForward(a, b, transposeA, transposeB) -> y
Napi::Value matmul_forward(const Napi::CallbackInfo& info) {
  const Arguments args(info, "matmul");
  const Tensor a = args.tensor(0, "a");
  const Tensor b = args.tensor(1, "b");
  const bool transpose_a = args.boolean(2, "transposeA");
  const bool transpose_b = args.boolean(3, "transposeB");
  if (a->rank < 2) refuse("ERR_SHAPE", "matmul", "a", "[..., M, K]", shape_text(a));
  if (b->rank < 2) refuse("ERR_SHAPE", "matmul", "b", "[..., K, N]", shape_text(b));

  auto shape = Tensor::shape_of(a);
  shape[shape.size() - 2] = a->dim(transpose_a ? -1 : -2);
  shape.back() = b->dim(transpose_b ? -2 : -1);
  const Tensor y = Tensor::empty(shape, a->dtype, a.device());
  const MatmulForward op{
      .y = y,
      .a = a,
      .b = b,
      .transpose_a = transpose_a,
      .transpose_b = transpose_b,
  };
  srpo::matmul_forward(op, a.stream());
  return args.handle(y);
}

}  // namespace

void register_gemm(Napi::Env env, Napi::Object exports) {
  define<linear_forward>(env, exports, "linearForward");
  define<linear_backward>(env, exports, "linearBackward");
  define<linear_pair_forward>(env, exports, "linearPairForward");
  define<linear_pair_backward>(env, exports, "linearPairBackward");
  define<matmul_forward>(env, exports, "matmulForward");
}

}  // namespace srpo::binding
