// y[b] = -<(x - mean)^2> / (2 std^2) - log(std) - log(2 pi) / 2, <.> the mean over a sample.
//   dmean = dy[b] / (n std^2) * (x - mean),  dx = -dmean
// Sums run in double over fixed parts; a grid row is a sample.

#include "cpp/ops/loss/gaussian_log_density.h"

#include "cuda/loss/squares.cuh"

namespace srpo::cuda {
namespace {

__global__ void gaussian_log_density_forward_total_kernel(float* y, const double* parts,
                                                          const float* std, int64_t count,
                                                          int64_t n) {
  wait_for_earlier_kernel();
  constexpr double kHalfLogTwoPi = 0.91893853320467274178;
  const int64_t b = blockIdx.y;
  const double squares = total_of(parts + b * count, count), s = std[b];
  if (threadIdx.x != 0) return;
  const double exponent = -squares / static_cast<double>(n) / (2 * s * s);
  y[b] = static_cast<float>(exponent - log(s) - kHalfLogTwoPi);
}

template <typename T>
__global__ void gaussian_log_density_backward_kernel(T* dx, T* dmean, const float* dy, const T* x,
                                                     const T* mean, const float* std, int64_t n,
                                                     bool packed) {
  wait_for_earlier_kernel();
  const int64_t b = blockIdx.y, start = b * n;
  const double s = std[b];
  const auto factor = static_cast<float>(double{dy[b]} / (static_cast<double>(n) * s * s));
  scaled_differences(dmean == nullptr ? dmean : dmean + start, dx == nullptr ? dx : dx + start,
                     x + start, mean + start, n, packed, factor);
}

}  // namespace

void gaussian_log_density_forward(const GaussianLogDensityForward& op, Stream& stream) {
  const int64_t B = op.x.dim(0), n = op.x.numel() / B, count = parts_of(n);
  auto* parts = scratch<double>(stream, B * count);
  visit_float(op.x.dtype, [&]<typename T>() {
    launch(squared_distance_parts_kernel<T>, sum_config(count, stream, B), parts, op.x.data<T>(),
           op.mean.data<T>(), n, packs<T>(op.x.pointer, n) && packs<T>(op.mean.pointer, n));
  });
  launch(gaussian_log_density_forward_total_kernel, sum_config(1, stream, B), op.y.data<float>(),
         parts, upload(stream, op.std), count, n);
}

void gaussian_log_density_backward(const GaussianLogDensityBackward& op, Stream& stream) {
  const int64_t B = op.x.dim(0), n = op.x.numel() / B;
  visit_float(op.x.dtype, [&]<typename T>() {
    const bool packed = packs<T>(op.x.pointer, n) && packs<T>(op.mean.pointer, n) &&
                        packs<T>(op.dx.pointer, n) && packs<T>(op.dmean.pointer, n);
    LaunchConfig config = map_config<kPack<T>>(n, stream);
    config.grid.y = B;
    launch(gaussian_log_density_backward_kernel<T>, config, op.dx.data<T>(), op.dmean.data<T>(),
           op.dy.data<float>(), op.x.data<T>(), op.mean.data<T>(), upload(stream, op.std), n,
           packed);
  });
}

}  // namespace srpo::cuda
