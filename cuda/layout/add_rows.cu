// y[b] = x[b] + rows; drows += sum over b of dy[b], in float and in the order of b: one pass each.

#include "cpp/ops/layout/add_rows.h"

#include "cuda/layout/sum_of_samples.cuh"

namespace srpo::cuda {
namespace {

/// A grid row a sample, of n elements.
template <typename T>
__global__ void add_rows_forward_kernel(T* y, const T* x, const T* rows, int64_t n, bool packed) {
  wait_for_earlier_kernel();
  const int64_t start = blockIdx.y * n;
  map<kPack<T>>(n, packed, [=]<int N>(int64_t i) {
    float u[N], v[N];
    load_pack(u, x + start + i);
    load_pack(v, rows + i);
    for (int j = 0; j < N; ++j) u[j] += v[j];
    store_pack(y + start + i, u);
  });
}

}  // namespace

void add_rows_forward(const AddRowsForward& op, Stream& stream) {
  const int64_t n = op.rows.numel();
  visit_float(op.x.dtype, [&]<typename T>() {
    const bool packed =
        packs<T>(op.y.pointer, n) && packs<T>(op.x.pointer, n) && packs<T>(op.rows.pointer);
    LaunchConfig config = map_config<kPack<T>>(n, stream);
    config.grid.y = op.x.dim(0);
    launch(add_rows_forward_kernel<T>, config, op.y.data<T>(), op.x.data<T>(), op.rows.data<T>(), n,
           packed);
  });
}

void add_rows_backward(const AddRowsBackward& op, Stream& stream) {
  const int64_t n = op.drows.numel();
  visit_float(op.dy.dtype, [&]<typename T>() {
    add_samples(op.drows.data<float>(), op.dy.data<T>(), op.dy.dim(0), n, n, stream);
  });
}

}  // namespace srpo::cuda
