#include "cpp/binding/activation.h"
#include "cpp/binding/arguments.h"
#include "cpp/binding/guarded.h"
#include "cpp/binding/register.h"
#include "cpp/core/check.h"
#include "cpp/ops/gemm/linear.h"
#include "cpp/ops/gemm/matmul.h"

namespace srpo::binding {
namespace {

// linearForward(x, w, b | null, residual | null, gate | null, act, save, into | null) -> [y, pre | null]
Napi::Value linear_forward(const Napi::CallbackInfo& info) {
  const Arguments args(info, "linear");
  const Tensor x = args.tensor(0, "x");
  const Tensor w = args.tensor(1, "w");
  const Tensor b = args.optional_tensor(2, "b");
  const Tensor residual = args.optional_tensor(3, "residual");
  const Tensor gate = args.optional_tensor(4, "gate");
  require_rank("linear", "w", w, 2, "[N, K]");
  if (x->rank < 1) refuse("ERR_SHAPE", "linear", "x", "[..., K]", shape_text(x));

  auto shape = Tensor::shape_of(x);
  shape.back() = w->dim(0);
  const auto output = [&] { return Tensor::empty(shape, x->dtype, x.device()); };
  const Tensor into = args.optional_tensor(7, "into");
  const Tensor y = into ? into : output();
  const Tensor pre = args.boolean(6, "save") ? output() : Tensor();
  const LinearForward op{
      .y = y,
      .pre = pre,
      .x = x,
      .w = w,
      .b = b,
      .residual = residual,
      .gate = gate,
      .activation = activation_of(args, 5, "act"),
  };
  srpo::linear_forward(op, x.stream());
  return args.handles({y, pre});
}

// linearBackward(dy, x, w, pre | null, gate | null, act, dw | null, db | null, wantsDx, wantsDgate,
//                inputPre | null, inputAct, squares | null, split) -> [dx | null, dgate | null, dxBefore | null]
Napi::Value linear_backward(const Napi::CallbackInfo& info) {
  const Arguments args(info, "linear backward");
  const Tensor dy = args.tensor(0, "dy");
  const Tensor x = args.tensor(1, "x");
  const Tensor w = args.tensor(2, "w");
  const Tensor pre = args.optional_tensor(3, "pre");
  const Tensor gate = args.optional_tensor(4, "gate");
  const ActivationKind activation = activation_of(args, 5, "act");
  const Tensor dw = args.optional_tensor(6, "dw");
  const Tensor db = args.optional_tensor(7, "db");
  const Tensor input_pre = args.optional_tensor(10, "inputPre");
  const Tensor squares = args.optional_tensor(12, "squares");
  const int64_t split = args.integer(13, "split");
  if (x->rank < 1) refuse("ERR_SHAPE", args.op(), "x", "[..., K]", shape_text(x));
  require_range(args.op(), "split", split == 0 || (split > 0 && split < x->dim(-1)),
                "less than x's " + std::to_string(x->dim(-1)) + " columns", std::to_string(split));

  const bool changes = activation != ActivationKind::kNone || gate;
  const bool wants_dx = args.boolean(8, "wantsDx");
  const auto gradient_of = [&](int64_t columns) {
    auto shape = Tensor::shape_of(x);
    shape.back() = columns;
    return Tensor::empty(shape, x->dtype, x.device());
  };
  const Tensor dx = wants_dx ? gradient_of(x->dim(-1) - split) : Tensor();
  const Tensor dx_before = wants_dx && split > 0 ? gradient_of(split) : Tensor();
  const Tensor dgate = args.boolean(9, "wantsDgate") && gate ? Tensor::like(gate) : Tensor();
  const Tensor dpre = changes && (dx || dw) ? Tensor::like(dy) : Tensor();
  const LinearBackward op{
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
      .input_activation = activation_of(args, 11, "inputAct"),
      .dx_before = dx_before,
  };
  srpo::linear_backward(op, x.stream());
  return args.handles({dx, dgate, dx_before});
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
  define<matmul_forward>(env, exports, "matmulForward");
}

}  // namespace srpo::binding
