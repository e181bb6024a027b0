// y = scale * sum(x), in double over fixed parts; dx = scale * dy.

#include "cpp/ops/loss/sum.h"

#include "cuda/common/total.cuh"
#include "cuda/elementwise/map.cuh"

namespace srpo::cuda {
namespace {

template <typename T>
__global__ void sum_forward_parts_kernel(double* parts, const T* x, int64_t n, bool packed) {
  wait_for_earlier_kernel();
  sum_part<kPack<T>>(parts, n, packed, [=]<int N>(int64_t i) {
    float v[N];
    load_pack(v, x + i);
    double sum = 0;
    for (const float value : v) sum += double{value};
    return sum;
  });
}

__global__ void sum_forward_total_kernel(float* y, const double* parts, int64_t count,
                                         double scale) {
  wait_for_earlier_kernel();
  const double total = total_of(parts, count);
  if (threadIdx.x == 0) *y = static_cast<float>(scale * total);
}

template <typename T>
__global__ void sum_backward_kernel(T* dx, const float* dy, int64_t n, bool packed, double scale) {
  wait_for_earlier_kernel();
  const auto g = static_cast<float>(scale * double{*dy});
  map<kPack<T>>(n, packed, [=]<int N>(int64_t i) {
    float v[N];
    for (float& each : v) each = g;
    store_pack(dx + i, v);
  });
}

}  // namespace

void sum_forward(const SumForward& op, Stream& stream) {
  const int64_t n = op.x.numel(), count = parts_of(n);
  auto* parts = scratch<double>(stream, count);
  visit_float(op.x.dtype, [&]<typename T>() {
    launch(sum_forward_parts_kernel<T>, sum_config(count, stream), parts, op.x.data<T>(), n,
           packs<T>(op.x.pointer));
  });
  launch(sum_forward_total_kernel, sum_config(1, stream), op.y.data<float>(), parts, count,
         op.scale);
}

void sum_backward(const SumBackward& op, Stream& stream) {
  const int64_t n = op.dx.numel();
  visit_float(op.dx.dtype, [&]<typename T>() {
    launch(sum_backward_kernel<T>, map_config<kPack<T>>(n, stream), op.dx.data<T>(),
           op.dy.data<float>(), n, packs<T>(op.dx.pointer), op.scale);
  });
}

}  // namespace srpo::cuda
