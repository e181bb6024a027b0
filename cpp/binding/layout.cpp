#include "cpp/binding/arguments.h"
#include "cpp/binding/guarded.h"
#include "cpp/binding/register.h"
#include "cpp/core/check.h"
#include "cpp/ops/layout/add_rows.h"
#include "cpp/ops/layout/concat.h"
#include "cpp/ops/layout/dimension.h"
#include "cpp/ops/layout/gather_rows.h"
#include "cpp/ops/layout/prepend_row.h"
#include "cpp/ops/layout/slice.h"

namespace srpo::binding {
namespace {

// concatForward(xs, dim) -> y
Napi::Value concat_forward(const Napi::CallbackInfo& info) {
  const Arguments args(info, "concat");
  const std::vector<Tensor> xs = args.tensors(0, "xs");
  int64_t dim = args.integer(1, "dim");
  const std::vector<TensorView> views(xs.begin(), xs.end());
  const Shape shape = concat_shape(views, dim);
  const Tensor y = Tensor::empty(shape, xs.front()->dtype, xs.front().device());
  srpo::concat_forward({.y = y, .xs = views, .dim = static_cast<int>(dim)}, y.stream());
  return args.handle(y);
}

// sliceForward(x, dim, start, length) -> y; a view of x where the part is in one piece
Napi::Value slice_forward(const Napi::CallbackInfo& info) {
  const Arguments args(info, "slice");
  const Tensor x = args.tensor(0, "x");
  int64_t dim = args.integer(1, "dim");
  const int64_t start = args.integer(2, "start");
  const Shape shape = slice_shape(x, dim, start, args.integer(3, "length"));

  int64_t outer = 1, inner = 1;
  for (int64_t i = 0; i < x->rank; ++i) (i < dim ? outer : inner) *= i == dim ? 1 : x->dims[i];
  if (outer == 1) return args.handle(x.view(start * inner, shape));
  const Tensor y = Tensor::empty(shape, x->dtype, x.device());
  srpo::slice_forward({.y = y, .x = x, .dim = static_cast<int>(dim), .start = start}, x.stream());
  return args.handle(y);
}

// sliceBackward(dy, shape of x, dim, start) -> dx
Napi::Value slice_backward(const Napi::CallbackInfo& info) {
  const Arguments args(info, "slice backward");
  const Tensor dy = args.tensor(0, "dy");
  const Tensor dx = Tensor::empty(args.integers(1, "shape"), dy->dtype, dy.device());
  const int dim = dimension("slice backward", "dim", args.integer(2, "dim"), dy);
  const int64_t start = args.integer(3, "start");
  srpo::slice_backward({.dx = dx, .dy = dy, .dim = dim, .start = start}, dy.stream());
  return args.handle(dx);
}

// gatherRowsForward(x, index) -> y
Napi::Value gather_rows_forward(const Napi::CallbackInfo& info) {
  const Arguments args(info, "gatherRows");
  const Tensor x = args.tensor(0, "x");
  require_rank("gatherRows", "x", x, 3, "[B, L, D]");
  const Tensor y = Tensor::empty({x->dim(0), x->dim(2)}, x->dtype, x.device());
  srpo::gather_rows_forward({.y = y, .x = x, .index = args.integers(1, "index")}, x.stream());
  return args.handle(y);
}

// gatherRowsBackward(dy, index, L) -> dx
Napi::Value gather_rows_backward(const Napi::CallbackInfo& info) {
  const Arguments args(info, "gatherRows backward");
  const Tensor dy = args.tensor(0, "dy");
  require_rank("gatherRows backward", "dy", dy, 2, "[B, D]");
  const Tensor dx =
      Tensor::empty({dy->dim(0), args.integer(2, "L"), dy->dim(1)}, dy->dtype, dy.device());
  srpo::gather_rows_backward({.dx = dx, .dy = dy, .index = args.integers(1, "index")}, dy.stream());
  return args.handle(dx);
}

// prependRowForward(x, row) -> y
Napi::Value prepend_row_forward(const Napi::CallbackInfo& info) {
  const Arguments args(info, "prependRow");
  const Tensor x = args.tensor(0, "x");
  const Tensor row = args.tensor(1, "row");
  require_rank("prependRow", "x", x, 3, "[B, L, D]");
  const Tensor y = Tensor::empty({x->dim(0), x->dim(1) + 1, x->dim(2)}, x->dtype, x.device());
  srpo::prepend_row_forward({.y = y, .x = x, .row = row}, x.stream());
  return args.handle(y);
}

// prependRowBackward(drow | null, dy, wantsDx) -> dx | null; adds to drow
Napi::Value prepend_row_backward(const Napi::CallbackInfo& info) {
  const Arguments args(info, "prependRow backward");
  const Tensor drow = args.optional_tensor(0, "drow");
  const Tensor dy = args.tensor(1, "dy");
  require_rank("prependRow backward", "dy", dy, 3, "[B, L + 1, D]");
  const Tensor dx =
      args.boolean(2, "wantsDx")
          ? Tensor::empty({dy->dim(0), dy->dim(1) - 1, dy->dim(2)}, dy->dtype, dy.device())
          : Tensor();
  srpo::prepend_row_backward({.dx = dx, .drow = drow, .dy = dy}, dy.stream());
  return dx ? args.handle(dx) : info.Env().Null();
}

// addRowsForward(x, rows) -> y
Napi::Value add_rows_forward(const Napi::CallbackInfo& info) {
  const Arguments args(info, "addRows");
  const Tensor x = args.tensor(0, "x");
  const Tensor rows = args.tensor(1, "rows");
  const Tensor y = Tensor::like(x);
  srpo::add_rows_forward({.y = y, .x = x, .rows = rows}, x.stream());
  return args.handle(y);
}

// addRowsBackward(drows, dy): adds to drows
Napi::Value add_rows_backward(const Napi::CallbackInfo& info) {
  const Arguments args(info, "addRows backward");
  const Tensor drows = args.tensor(0, "drows");
  const Tensor dy = args.tensor(1, "dy");
  require_rank("addRows backward", "dy", dy, 3, "[B, L, D]");
  srpo::add_rows_backward({.drows = drows, .dy = dy}, dy.stream());
  return info.Env().Undefined();
}

}  // namespace

void register_layout(Napi::Env env, Napi::Object exports) {
  define<concat_forward>(env, exports, "concatForward");
  define<slice_forward>(env, exports, "sliceForward");
  define<slice_backward>(env, exports, "sliceBackward");
  define<gather_rows_forward>(env, exports, "gatherRowsForward");
  define<gather_rows_backward>(env, exports, "gatherRowsBackward");
  define<prepend_row_forward>(env, exports, "prependRowForward");
  define<prepend_row_backward>(env, exports, "prependRowBackward");
  define<add_rows_forward>(env, exports, "addRowsForward");
  define<add_rows_backward>(env, exports, "addRowsBackward");
}

}  // namespace srpo::binding
