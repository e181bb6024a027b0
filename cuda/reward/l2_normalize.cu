// y = x / max(||x||, eps); dx = (dy - (dy . y) y) / ||x||, dy / eps where ||x|| <= eps.
//   x, y, dx, dy  [B, D]  T      norm  [B]  float
// One block a row, whose sums run in double.

#include "cpp/ops/reward/l2_normalize.h"

#include "cuda/common/block_reduce.cuh"
#include "cuda/common/launch.cuh"

namespace srpo::cuda {
namespace {

constexpr int kThreads = 256;

template <typename T>
__global__ void l2_normalize_forward_kernel(T* y, float* norm, const T* x, int64_t D, float eps) {
  wait_for_earlier_kernel();
  const int64_t b = blockIdx.x;
  x += b * D;
  double squares = 0;
  for (int64_t d = threadIdx.x; d < D; d += kThreads) {
    const double value = float(x[d]);
    squares += value * value;
  }
  const auto length = static_cast<float>(sqrt(block_sum(squares)));
  const float factor = 1.f / (length <= eps ? eps : length);
  for (int64_t d = threadIdx.x; d < D; d += kThreads) y[b * D + d] = T(factor * float(x[d]));
  if (threadIdx.x == 0) norm[b] = length;
}

template <typename T>
__global__ void l2_normalize_backward_kernel(T* dx, const T* dy, const T* x, const float* norm,
                                             int64_t D, float eps) {
  wait_for_earlier_kernel();
  const int64_t b = blockIdx.x;
  dy += b * D;
  x += b * D;
  double dot = 0;
  for (int64_t d = threadIdx.x; d < D; d += kThreads) dot += double{float(dy[d])} * float(x[d]);
  dot = block_sum(dot);
  const bool tiny = norm[b] <= eps;
  const double factor = 1 / double{tiny ? eps : norm[b]};
  // (dy . y) y = (dy . x) x / ||x||^2
  const double along = tiny ? 0 : dot * factor * factor;
  for (int64_t d = threadIdx.x; d < D; d += kThreads)
    dx[b * D + d] = T(static_cast<float>(factor * (float(dy[d]) - along * float(x[d]))));
}

}  // namespace

void l2_normalize_forward(const L2NormalizeForward& op, Stream& stream) {
  const auto [B, D] = op.x.sizes<2>();
  visit_float(op.x.dtype, [&, B = B, D = D]<typename T>() {
    launch(l2_normalize_forward_kernel<T>, {.grid = B, .block = kThreads, .stream = stream},
           op.y.data<T>(), op.norm.data<float>(), op.x.data<T>(), D, op.eps);
  });
}

void l2_normalize_backward(const L2NormalizeBackward& op, Stream& stream) {
  const auto [B, D] = op.x.sizes<2>();
  visit_float(op.x.dtype, [&, B = B, D = D]<typename T>() {
    launch(l2_normalize_backward_kernel<T>, {.grid = B, .block = kThreads, .stream = stream},
           op.dx.data<T>(), op.dy.data<T>(), op.x.data<T>(), op.norm.data<float>(), D, op.eps);
  });
}

}  // namespace srpo::cuda
