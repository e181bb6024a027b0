#include "cpp/ops/layout/slice.h"

#include <algorithm>

#include "cpp/core/check.h"
#include "cpp/ops/layout/dimension.h"
#include "cpp/ops/op_table.h"

namespace srpo {

std::vector<int64_t> slice_shape(const TensorView& x, int64_t& dim, int64_t start, int64_t length) {
  constexpr auto kOp = "slice";
  require_not_empty(kOp, "x", x);
  dim = dimension(kOp, "dim", dim, x);
  const int64_t size = x.dims[dim];
  require_range(kOp, "start", start >= 0 && start < size, "0 to " + std::to_string(size - 1),
                std::to_string(start));
  require_range(kOp, "length", length >= 1 && length <= size - start,
                "1 to " + std::to_string(size - start), std::to_string(length));
  std::vector<int64_t> shape(x.dims, x.dims + x.rank);
  shape[static_cast<size_t>(dim)] = length;
  return shape;
}

void slice_forward(const SliceForward& op, Stream& stream) {
  dispatch("slice", &OpTable::slice_forward, op, stream);
}

void slice_backward(const SliceBackward& op, Stream& stream) {
  constexpr auto kOp = "slice backward";
  if (op.dy.rank != op.dx.rank)
    refuse("ERR_SHAPE", kOp, "dy", "the rank of x " + shape_text(op.dx), shape_text(op.dy));
  int64_t dim = op.dim;
  TensorView part = op.dx;
  const auto shape = slice_shape(op.dx, dim, op.start, op.dy.dim(op.dim));
  std::copy(shape.begin(), shape.end(), part.dims);
  require_same_shape(kOp, "dy", op.dy, part);
  require_like(kOp, "dy", op.dy, op.dx);
  dispatch(kOp, &OpTable::slice_backward, op, stream);
}

}  // namespace srpo
