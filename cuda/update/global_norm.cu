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

/// A block a pair of rows, the second not after the first: the product of both rows' products.
template <typename T>
__global__ void factored_norm_parts_kernel(double* parts, const T* dy, const T* x, int64_t N,
                                           int64_t K) {
  const int64_t a = blockIdx.x, b = blockIdx.y;
  if (b > a) {
    if (threadIdx.x == 0) parts[a * gridDim.y + b] = 0;
    return;
  }
  const auto dot = [](const T* u, const T* v, int64_t n) {
    double sum = 0;
    for (int64_t i = threadIdx.x; i < n; i += kSumThreads)
      sum += double{float(u[i])} * double{float(v[i])};
    return block_sum(sum);
  };
  const double both = dot(dy + a * N, dy + b * N, N) * dot(x + a * K, x + b * K, K);
  if (threadIdx.x == 0) parts[a * gridDim.y + b] = a == b ? both : 2 * both;
}

__global__ void global_norm_total_kernel(float* norm, const double* parts, int64_t count) {
  const double squares = total_of(parts, count);
  if (threadIdx.x == 0) *norm = static_cast<float>(sqrt(squares < 0 ? 0 : squares));
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

void factored_norm(const FactoredNorm& op, Stream& stream) {
  const int64_t R = op.dy.dim(0);
  auto* parts = scratch<double>(stream, R * R);
  visit_float(op.dy.dtype, [&]<typename T>() {
    launch(factored_norm_parts_kernel<T>, sum_config(R, stream, R), parts, op.dy.data<T>(),
           op.x.data<T>(), op.dy.dim(1), op.x.dim(1));
  });
  launch(global_norm_total_kernel, sum_config(1, stream), op.norm.data<float>(), parts, R * R);
}

void count_non_finite(const CountNonFinite& op, Stream& stream) {
  launch(count_non_finite_kernel, {.grid = 1, .block = kWarp, .stream = stream},
         op.counter.data<int32_t>(), op.norm.data<float>());
}

}  // namespace srpo::cuda
