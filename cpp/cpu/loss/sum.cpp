// y = scale * sum(x); dx = scale * dy. Sums run in double over fixed blocks.

#include "cpp/ops/loss/sum.h"

#include "cpp/cpu/reduce.h"
#include "cpp/cpu/visit.h"

namespace srpo::cpu {

void sum_forward(const SumForward& op, Stream&) {
  visit_bits(op.x.dtype, [&]<typename T>() {
    const T* x = op.x.data<T>();
    const double total = sum_of_blocks(op.x.numel(), [&](int64_t begin, int64_t count) {
      return reduce_kernels<T>().sum(x + begin, count);
    });
    *op.y.data<float>() = static_cast<float>(op.scale * total);
  });
}

void sum_backward(const SumBackward& op, Stream&) {
  visit_bits(op.dx.dtype, [&]<typename T>() {
    const auto g = static_cast<float>(op.scale * static_cast<double>(*op.dy.data<float>()));
    T value;
    write(&value, &g, 1);
    std::fill_n(op.dx.data<T>(), op.dx.numel(), value);
  });
}

}  // namespace srpo::cpu
