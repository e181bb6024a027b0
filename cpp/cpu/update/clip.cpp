// grad *= max / (norm + 1e-6), where that is below 1.

#include "cpp/ops/update/clip.h"

#include "cpp/cpu/parallel.h"
#include "cpp/cpu/visit.h"

namespace srpo::cpu {

void clip(const Clip& op, Stream&) {
  const float factor = clip_factor(*op.norm.data<float>(), op.max_norm);
  if (factor == 1.f) return;
  visit_bits(op.grad.dtype, [&]<typename T>() {
    T* grad = op.grad.data<T>();
    parallel_ranges(op.grad.numel(), 16384, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const float clipped = factor * read(grad[i]);
        write(grad + i, &clipped, 1);
      }
    });
  });
}

}  // namespace srpo::cpu
