// y = mean((a - b)^2); da = 2 / n * dy * (a - b), db = -da. Sums run in double over fixed blocks.

#include "cpp/ops/loss/mse.h"

#include "cpp/cpu/reduce.h"
#include "cpp/cpu/visit.h"

namespace srpo::cpu {

void mse_forward(const MseForward& op, Stream&) {
  visit_bits(op.a.dtype, [&]<typename T>() {
    const int64_t n = op.a.numel();
    const T *a = op.a.data<T>(), *b = op.b.data<T>();
    const double total = sum_of_blocks(n, [&](int64_t begin, int64_t count) {
      return reduce_kernels<T>().squared_distance(a + begin, b + begin, count);
    });
    *op.y.data<float>() = static_cast<float>(total / static_cast<double>(n));
  });
}

void mse_backward(const MseBackward& op, Stream&) {
  visit_bits(op.a.dtype, [&]<typename T>() {
    const int64_t n = op.a.numel();
    const T *a = op.a.data<T>(), *b = op.b.data<T>();
    const float factor = static_cast<float>(2.0 / static_cast<double>(n)) * *op.dy.data<float>();
    parallel_ranges(n, 16384, [&](int64_t begin, int64_t end) {
      const int64_t count = end - begin;
      if (op.da)
        reduce_kernels<T>().scaled_difference(op.da.data<T>() + begin, a + begin, b + begin, factor,
                                              count);
      if (op.db)
        reduce_kernels<T>().scaled_difference(op.db.data<T>() + begin, b + begin, a + begin, factor,
                                              count);
    });
  });
}

}  // namespace srpo::cpu
