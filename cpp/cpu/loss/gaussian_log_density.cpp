// y[b] = -<(x - mean)^2> / (2 std^2) - log(std) - log(2 pi) / 2, <.> the mean over a sample.
//   dmean = dy[b] / (n std^2) * (x - mean),  dx = -dmean
// Sums run in double over fixed blocks.

#include "cpp/ops/loss/gaussian_log_density.h"

#include <cmath>

#include "cpp/cpu/reduce.h"
#include "cpp/cpu/visit.h"

namespace srpo::cpu {

void gaussian_log_density_forward(const GaussianLogDensityForward& op, Stream&) {
  constexpr double kHalfLogTwoPi = 0.91893853320467274178;
  visit_bits(op.x.dtype, [&]<typename T>() {
    const int64_t B = op.x.dim(0), n = op.x.numel() / B;
    for (int64_t b = 0; b < B; ++b) {
      const T *x = op.x.data<T>() + b * n, *mean = op.mean.data<T>() + b * n;
      const double squares = sum_of_blocks(n, [&](int64_t begin, int64_t count) {
        return reduce_kernels<T>().squared_distance(x + begin, mean + begin, count);
      });
      const double std = op.std[static_cast<size_t>(b)];
      const double exponent = -squares / static_cast<double>(n) / (2 * std * std);
      op.y.data<float>()[b] = static_cast<float>(exponent - std::log(std) - kHalfLogTwoPi);
    }
  });
}

void gaussian_log_density_backward(const GaussianLogDensityBackward& op, Stream&) {
  visit_bits(op.x.dtype, [&]<typename T>() {
    const int64_t B = op.x.dim(0), n = op.x.numel() / B;
    for (int64_t b = 0; b < B; ++b) {
      const T *x = op.x.data<T>() + b * n, *mean = op.mean.data<T>() + b * n;
      const double std = op.std[static_cast<size_t>(b)];
      const auto factor =
          static_cast<float>(double{op.dy.data<float>()[b]} / (static_cast<double>(n) * std * std));
      parallel_ranges(n, 16384, [&](int64_t begin, int64_t end) {
        const int64_t at = b * n + begin, count = end - begin;
        if (op.dmean)
          reduce_kernels<T>().scaled_difference(op.dmean.data<T>() + at, x + begin, mean + begin,
                                                factor, count);
        if (op.dx)
          reduce_kernels<T>().scaled_difference(op.dx.data<T>() + at, mean + begin, x + begin,
                                                factor, count);
      });
    }
  });
}

}  // namespace srpo::cpu
