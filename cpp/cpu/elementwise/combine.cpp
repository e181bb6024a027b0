// out = cx[b] * x + cy[b] * y, or cx[b] * x, in float, one pass; any mix of the two dtypes.

#include "cpp/ops/elementwise/combine.h"

#include <algorithm>

#include "cpp/cpu/elementwise/map.h"
#include "cpp/cpu/parallel.h"

namespace srpo::cpu {

void combine_forward(const CombineForward& op, Stream&) {
  const auto half = [](const TensorView& t) { return t.dtype == DType::kBFloat16 ? 1 : 0; };
  const auto at = [](const TensorView& t, int64_t i) {
    return t ? t.data<char>() + i * static_cast<int64_t>(size_of(t.dtype)) : nullptr;
  };
  const CombineKernel kernel = op.y ? map_tables().combine[half(op.out)][half(op.x)][half(op.y)]
                                    : map_tables().scaled[half(op.out)][half(op.x)];
  const int64_t each = op.x.numel() / op.x.dim(0);
  parallel_ranges(op.x.numel(), kMapGrain, [&](int64_t begin, int64_t end) {
    while (begin < end) {  // the range cut where the samples are
      const int64_t b = begin / each, stop = std::min(end, (b + 1) * each);
      kernel(at(op.out, begin), at(op.x, begin), at(op.y, begin), stop - begin,
             op.cx[static_cast<size_t>(b)], op.y ? op.cy[static_cast<size_t>(b)] : 0.f);
      begin = stop;
    }
  });
}

}  // namespace srpo::cpu
