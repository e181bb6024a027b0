// y = value, every element.

#include "cpp/ops/elementwise/fill.h"

#include <algorithm>

#include "cpp/cpu/elementwise/map.h"
#include "cpp/cpu/parallel.h"

namespace srpo::cpu {

void fill(const Fill& op, Stream&) {
  visit_float(op.y.dtype, [&]<typename T>() {
    parallel_ranges(op.y.numel(), 4 * kMapGrain, [&](int64_t begin, int64_t end) {
      std::fill(op.y.data<T>() + begin, op.y.data<T>() + end, T(op.value));
    });
  });
}

}  // namespace srpo::cpu
