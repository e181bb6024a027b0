// norm = sqrt(sum of grad^2), in double over fixed parts, so that no square of a float overflows: one
// reading of the gradient. What it is for, clipping and skipping, reads it on the device and passes over
// nothing again.

#include "cpp/ops/update/global_norm.h"

#include "cuda/common/total.cuh"
#include "cuda/update/numbers.cuh"

namespace srpo::cuda {
namespace {

template <typename T>
__global__ void global_norm_parts_kernel(double* parts, const T* grad, int64_t n, bool packed) {
  sum_part<kPack<T>>(parts, n, packed, [=]<int N>(int64_t i) {
    float g[N];
    load_pack(g, grad + i);
    double sum = 0;
    for (const float value : g) sum += double{value} * double{value};
    return sum;
  });
}

__global__ void global_norm_total_kernel(float* norm, const double* parts, int64_t count) {
  const double squares = total_of(parts, count);
  if (threadIdx.x == 0) *norm = static_cast<float>(sqrt(squares));
}

__global__ void count_non_finite_kernel(int32_t* counter, const float* norm) {
  if (threadIdx.x == 0 && !is_finite(*norm)) ++*counter;
}

}  // namespace

void global_norm(const GlobalNorm& op, Stream& stream) {
  const int64_t n = op.grad.numel(), count = parts_of(n);
  auto* parts = scratch<double>(stream, count);
  visit_float(op.grad.dtype, [&]<typename T>() {
    launch(global_norm_parts_kernel<T>, sum_config(count, stream), parts, op.grad.data<T>(), n,
           packs<T>(op.grad.pointer));
  });
  launch(global_norm_total_kernel, sum_config(1, stream), op.norm.data<float>(), parts, count);
}

void count_non_finite(const CountNonFinite& op, Stream& stream) {
  launch(count_non_finite_kernel, {.grid = 1, .block = kWarp, .stream = stream},
         op.counter.data<int32_t>(), op.norm.data<float>());
}

}  // namespace srpo::cuda
