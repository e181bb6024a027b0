// y = a - b and y = a * b, in float, one pass.

#include "cpp/ops/elementwise/binary.h"

#include "cpp/cpu/elementwise/map.h"
#include "cpp/cpu/parallel.h"
#include "cpp/cpu/visit.h"

namespace srpo::cpu {
namespace {

template <typename Pick>
void forward(const BinaryForward& op, const Pick& kernel_of) {
  visit_bits(op.a.dtype, [&]<typename T>() {
    const auto kernel = kernel_of(map_kernels<T>());
    parallel_ranges(op.a.numel(), kMapGrain, [&](int64_t begin, int64_t end) {
      kernel(op.y.data<T>() + begin, op.a.data<T>() + begin, op.b.data<T>() + begin, end - begin);
    });
  });
}

}  // namespace

void sub_forward(const BinaryForward& op, Stream&) {
  forward(op, [](const auto& k) { return k.sub; });
}

void mul_forward(const BinaryForward& op, Stream&) {
  forward(op, [](const auto& k) { return k.mul; });
}

}  // namespace srpo::cpu
