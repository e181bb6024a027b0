// norm = sqrt(sum of grad^2), in double over fixed blocks, so that no square of a float overflows and
// the bits do not depend on threads.

#include "cpp/ops/update/global_norm.h"

#include <cmath>

#include "cpp/cpu/reduce.h"
#include "cpp/cpu/visit.h"

namespace srpo::cpu {

void global_norm(const GlobalNorm& op, Stream&) {
  visit_bits(op.grad.dtype, [&]<typename T>() {
    const T* grad = op.grad.data<T>();
    const double squares = sum_of_blocks(op.grad.numel(), [&](int64_t begin, int64_t count) {
      return reduce_kernels<T>().squares(grad + begin, count);
    });
    *op.norm.data<float>() = static_cast<float>(std::sqrt(squares));
  });
}

void count_non_finite(const CountNonFinite& op, Stream&) {
  if (!std::isfinite(*op.norm.data<float>())) ++*op.counter.data<int32_t>();
}

}  // namespace srpo::cpu
