// Part of a tensor along one dimension, and the gradient that is 0 outside of it: one pass each.

#include "cpp/ops/layout/slice.h"

#include "cpp/ops/layout/strides.h"
#include "cuda/layout/copy_pieces.cuh"

namespace srpo::cuda {
namespace {

/// Sizes in units: rows of dx, rows of dy, what comes before.
template <typename U>
__global__ void slice_backward_kernel(U* dx, const U* dy, int64_t row, int64_t piece,
                                      int64_t before, int64_t n) {
  wait_for_earlier_kernel();
  place_pieces(dx, dy, row, piece, n, [=](int64_t) { return before; });
}

}  // namespace

void slice_forward(const SliceForward& op, Stream& stream) {
  const Strides x = strides_of(op.x, op.dim), y = strides_of(op.y, op.dim);
  copy_pieces(op.y.data<char>(), y.outer, op.x.data<char>() + op.start * x.inner, x.outer, y.count,
              y.outer, stream);
}

void slice_backward(const SliceBackward& op, Stream& stream) {
  const Strides dx = strides_of(op.dx, op.dim), dy = strides_of(op.dy, op.dim);
  const int64_t before = op.start * dx.inner;
  visit_unit({op.dx.pointer, op.dy.pointer}, {dx.outer, dy.outer, before}, [&]<typename U>() {
    const int64_t unit = sizeof(U), n = op.dx.bytes() / unit;
    launch(slice_backward_kernel<U>, map_config<1>(n, stream), op.dx.data<U>(), op.dy.data<U>(),
           dx.outer / unit, dy.outer / unit, before / unit, n);
  });
}

}  // namespace srpo::cuda
