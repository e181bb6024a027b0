// y[b] = [cos(t_b f_i)..., sin(t_b f_i)...], f_i = exp(-ln(10000) i / h), i = 0 .. h - 1, dim = 2 h.
//
// An angle reaches 1000, where a float's rounding is 3e-5: frequency and angle are therefore rounded
// to float exactly where a float32 implementation rounds them. exp, cos and sin are taken in double.

#include "cpp/ops/elementwise/timestep_embedding.h"

#include <cmath>

namespace srpo::cpu {

void timestep_embedding(const TimestepEmbedding& op, Stream&) {
  const int64_t B = op.y.dim(0), half = op.y.dim(1) / 2;
  const std::vector<float> frequencies = timestep_frequencies(half);
  visit_float(op.y.dtype, [&]<typename T>() {
    for (int64_t i = 0; i < half; ++i) {
      for (int64_t b = 0; b < B; ++b) {
        const float angle = op.t[static_cast<size_t>(b)] * frequencies[static_cast<size_t>(i)];
        T* y = op.y.data<T>() + b * 2 * half + i;
        y[0] = T(static_cast<float>(std::cos(static_cast<double>(angle))));
        y[half] = T(static_cast<float>(std::sin(static_cast<double>(angle))));
      }
    }
  });
}

}  // namespace srpo::cpu
