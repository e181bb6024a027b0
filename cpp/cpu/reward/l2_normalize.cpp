// y = x / max(||x||, eps); dx = (dy - (dy . y) y) / ||x||, dy / eps where ||x|| <= eps.
//   x, y, dx, dy  [B, D]  T      norm  [B]  float
// Sums run in double.

#include "cpp/ops/reward/l2_normalize.h"

#include <cmath>

#include "cpp/cpu/reduce.h"
#include "cpp/cpu/visit.h"

namespace srpo::cpu {

void l2_normalize_forward(const L2NormalizeForward& op, Stream&) {
  visit_bits(op.x.dtype, [&]<typename T>() {
    const auto [B, D] = op.x.sizes<2>();
    parallel_ranges(B, rows_of_range(D), [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; ++b) {
        const T* x = op.x.data<T>() + b * D;
        const auto norm = static_cast<float>(std::sqrt(reduce_kernels<T>().squares(x, D)));
        op.norm.data<float>()[b] = norm;
        const float factor = 1.f / (norm <= op.eps ? op.eps : norm);
        for (int64_t d = 0; d < D; ++d) {
          const float y = factor * read(x[d]);
          write(op.y.data<T>() + b * D + d, &y, 1);
        }
      }
    });
  });
}

void l2_normalize_backward(const L2NormalizeBackward& op, Stream&) {
  visit_bits(op.x.dtype, [&]<typename T>() {
    const auto [B, D] = op.x.sizes<2>();
    parallel_ranges(B, rows_of_range(D), [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; ++b) {
        const T *x = op.x.data<T>() + b * D, *dy = op.dy.data<T>() + b * D;
        const double norm = op.norm.data<float>()[b];
        const bool tiny = norm <= op.eps;
        const double factor = 1 / (tiny ? double{op.eps} : norm);
        // (dy . y) y = (dy . x) x / ||x||^2
        const double along = tiny ? 0 : reduce_kernels<T>().dot(dy, x, D) * factor * factor;
        for (int64_t d = 0; d < D; ++d) {
          const auto dx = static_cast<float>(factor * (read(dy[d]) - along * read(x[d])));
          write(op.dx.data<T>() + b * D + d, &dx, 1);
        }
      }
    });
  });
}

}  // namespace srpo::cpu
