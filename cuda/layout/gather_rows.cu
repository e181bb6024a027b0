// One row a sample, y[b] = x[b, index[b]], and the gradient that is 0 in all others: one pass each.

#include "cpp/ops/layout/gather_rows.h"

#include "cuda/layout/copy_pieces.cuh"

namespace srpo::cuda {
namespace {

/// `row` is in units.
template <typename U>
__global__ void gather_rows_forward_kernel(U* y, const U* x, const int64_t* index, int64_t L,
                                           int64_t row, int64_t n) {
  wait_for_earlier_kernel();
  map<1>(n, false, [=]<int>(int64_t i) {
    const int64_t b = i / row;
    y[i] = x[(b * L + index[b]) * row + i % row];
  });
}

template <typename U>
__global__ void gather_rows_backward_kernel(U* dx, const U* dy, const int64_t* index, int64_t L,
                                            int64_t row, int64_t n) {
  wait_for_earlier_kernel();
  place_pieces(dx, dy, L * row, row, n, [=](int64_t b) { return index[b] * row; });
}

}  // namespace

void gather_rows_forward(const GatherRowsForward& op, Stream& stream) {
  const int64_t bytes = op.y.bytes() / op.y.dim(0);
  visit_unit({op.y.pointer, op.x.pointer}, {bytes}, [&]<typename U>() {
    const int64_t unit = sizeof(U), n = op.y.bytes() / unit;
    launch(gather_rows_forward_kernel<U>, map_config<1>(n, stream), op.y.data<U>(), op.x.data<U>(),
           upload(stream, op.index), op.x.dim(1), bytes / unit, n);
  });
}

void gather_rows_backward(const GatherRowsBackward& op, Stream& stream) {
  const int64_t bytes = op.dy.bytes() / op.dy.dim(0);
  visit_unit({op.dx.pointer, op.dy.pointer}, {bytes}, [&]<typename U>() {
    const int64_t unit = sizeof(U), n = op.dx.bytes() / unit;
    launch(gather_rows_backward_kernel<U>, map_config<1>(n, stream), op.dx.data<U>(),
           op.dy.data<U>(), upload(stream, op.index), op.dx.dim(1), bytes / unit, n);
  });
}

}  // namespace srpo::cuda
