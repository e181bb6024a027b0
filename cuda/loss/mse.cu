// y = mean((a - b)^2), in double over fixed parts; da = 2 / n * dy * (a - b), db = -da.

#include "cpp/ops/loss/mse.h"

#include "cuda/loss/squares.cuh"

namespace srpo::cuda {
namespace {

__global__ void mse_forward_total_kernel(float* y, const double* parts, int64_t count, int64_t n) {
  wait_for_earlier_kernel();
  const double total = total_of(parts, count);
  if (threadIdx.x == 0) *y = static_cast<float>(total / static_cast<double>(n));
}

template <typename T>
__global__ void mse_backward_kernel(T* da, T* db, const float* dy, const T* a, const T* b,
                                    int64_t n, bool packed, float factor) {
  wait_for_earlier_kernel();
  scaled_differences(da, db, a, b, n, packed, factor * *dy);
}

}  // namespace

void mse_forward(const MseForward& op, Stream& stream) {
  const int64_t n = op.a.numel(), count = parts_of(n);
  auto* parts = scratch<double>(stream, count);
  visit_float(op.a.dtype, [&]<typename T>() {
    launch(squared_distance_parts_kernel<T>, sum_config(count, stream), parts, op.a.data<T>(),
           op.b.data<T>(), n, packs<T>(op.a.pointer) && packs<T>(op.b.pointer));
  });
  launch(mse_forward_total_kernel, sum_config(1, stream), op.y.data<float>(), parts, count, n);
}

void mse_backward(const MseBackward& op, Stream& stream) {
  const int64_t n = op.a.numel();
  visit_float(op.a.dtype, [&]<typename T>() {
    const bool packed = packs<T>(op.a.pointer) && packs<T>(op.b.pointer) &&
                        packs<T>(op.da.pointer) && packs<T>(op.db.pointer);
    launch(mse_backward_kernel<T>, map_config<kPack<T>>(n, stream), op.da.data<T>(),
           op.db.data<T>(), op.dy.data<float>(), op.a.data<T>(), op.b.data<T>(), n, packed,
           static_cast<float>(2.0 / static_cast<double>(n)));
  });
}

}  // namespace srpo::cuda
