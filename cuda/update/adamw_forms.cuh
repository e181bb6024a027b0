// The forms in which an update finds weights, moments and gradients: each loads N elements as floats from
// element i on, and stores them as it keeps them.
#pragma once
#include "cpp/core/random.h"
#include "cpp/ops/update/adamw_step.h"
#include "cpp/ops/update/moments.h"
#include "cuda/common/math.cuh"
#include "cuda/common/warp.cuh"
#include "cuda/update/numbers.cuh"

namespace srpo::cuda {

/// 16 random bits for each element, named by its place among all parameters (cpp/ops/update/adamw_step.h).
struct Draws {
  uint32_t seed[2];
  uint32_t purpose, step;
  int64_t offset;

  /// Of elements i .. i + N - 1 of the range; N is 1, or 4 or 8 from a multiple of it on: one draw.
  template <int N>
  SRPO_DEVICE void halves(uint32_t (&random)[N], int64_t i, uint32_t sample) const {
    const int64_t first = offset + i;
    const random::Words draw = random::philox4x32(
        {{static_cast<uint32_t>(first / 8), purpose, step, sample}}, seed[0], seed[1]);
    for (int j = 0; j < N; ++j) {
      const auto place = static_cast<int>((first + j) % 8);
      const uint32_t low = place & 2 ? draw.word[1] : draw.word[0];
      const uint32_t high = place & 2 ? draw.word[3] : draw.word[2];
      const uint32_t word = place & 4 ? high : low;
      random[j] = place & 1 ? word >> 16 : word & 0xffffu;
    }
  }
  template <int N>
  bool packed() const {
    return offset % N == 0;
  }
};

inline Draws draws_of(const StochasticRounding& rounding, int64_t step) {
  return {
      .seed = {static_cast<uint32_t>(rounding.seed), static_cast<uint32_t>(rounding.seed >> 32)},
      .purpose = rounding.purpose,
      .step = static_cast<uint32_t>(step),
      .offset = rounding.offset};
}

/// N floats as the upper halves of their bits, rounded up or down; what is not finite stays.
template <int N>
SRPO_DEVICE void store_rounded(uint16_t* to, const float (&from)[N], const uint32_t (&random)[N]) {
  Pack<uint16_t, N> upper;
  for (int j = 0; j < N; ++j) {
    const uint32_t bits = bits_as<uint32_t>(from[j]);
    const bool finite = (bits & 0x7f800000u) != 0x7f800000u;
    upper.value[j] = static_cast<uint16_t>((finite ? bits + random[j] : bits) >> 16);
  }
  *reinterpret_cast<Pack<uint16_t, N>*>(to) = upper;
}
template <int N>
SRPO_DEVICE void load_upper(float (&to)[N], const uint16_t* from) {
  const auto upper = load_halves<N>(from);
  for (int j = 0; j < N; ++j) to[j] = bits_as<float>(static_cast<uint32_t>(upper.value[j]) << 16);
}

/// Weights that are bfloat16 alone, rounded up or down with the odds of how near each is.
struct RoundedWeights {
  uint16_t* weights;
  Draws draws;

  template <int N>
  bool packed() const {
    return aligned<N>(weights) && draws.packed<N>();
  }
  template <int N>
  SRPO_DEVICE void load(float (&w)[N], int64_t i) const {
    load_upper(w, weights + i);
  }
  template <int N>
  SRPO_DEVICE void store(int64_t i, const float (&w)[N]) const {
    uint32_t random[N];
    draws.halves(random, i, 0);
    store_rounded(weights + i, w, random);
  }
};

struct FloatMoments {
  static constexpr int kPerThread = 4;
  float *m, *v;

  bool packed() const { return aligned<kPerThread>(m) && aligned<kPerThread>(v); }
  template <int N>
  SRPO_DEVICE void load(float (&mean)[N], float (&square)[N], int64_t i) const {
    load_pack(mean, m + i);
    load_pack(square, v + i);
  }
  template <int N>
  SRPO_DEVICE void store(int64_t i, const float (&mean)[N], const float (&square)[N]) const {
    store_pack(m + i, mean);
    store_pack(v + i, square);
  }
};

/// Bfloat16, rounded as `RoundedWeights` are.
struct HalfMoments {
  static constexpr int kPerThread = 8;
  uint16_t *m, *v;
  Draws draws;

  bool packed() const {
    return aligned<kPerThread>(m) && aligned<kPerThread>(v) && draws.packed<kPerThread>();
  }
  template <int N>
  SRPO_DEVICE void load(float (&mean)[N], float (&square)[N], int64_t i) const {
    load_upper(mean, m + i);
    load_upper(square, v + i);
  }
  template <int N>
  SRPO_DEVICE void store(int64_t i, const float (&mean)[N], const float (&square)[N]) const {
    uint32_t random[N];
    draws.halves(random, i, 0);
    store_rounded(m + i, mean, random);
    draws.halves(random, i, 1);
    store_rounded(v + i, square, random);
  }
};

constexpr int kPerLane = kMomentBlock / kWarp;

/// Codes of 8 bits, a warp a block of theirs (cpp/ops/update/moments.h).
struct ByteMoments {
  uint8_t *m, *v;
  uint8_t *m_scale, *v_scale;
  Draws draws;
};

/// The exponent of a block, from what each lane has of it.
SRPO_DEVICE uint32_t exponent_of(const float (&values)[kPerLane]) {
  uint32_t largest = 0;
  for (const float value : values) {
    const uint32_t magnitude = bits_as<uint32_t>(value) & 0x7fffffffu;
    largest = magnitude > largest ? magnitude : largest;
  }
  return moment_exponent(warp_max(largest));
}

/// Gradients that lie in memory.
template <typename G>
struct StoredGradient {
  const G* grad;

  template <int N>
  bool packed() const {
    return aligned<N>(grad);
  }
  template <int N>
  SRPO_DEVICE void load(float (&g)[N], int64_t i) const {
    load_pack(g, grad + i);
  }
};

/// Gradients that are summed up from their factors (cpp/ops/update/adamw_step.h), which the caches hold.
template <typename T>
struct FactoredGradient {
  const T *dy, *x;
  int64_t samples, outputs, inputs, first;

  /// A pack then lies in one row, at a place of x that it can be read from.
  template <int N>
  bool packed() const {
    return aligned<N>(x) && inputs % N == 0 && first % N == 0;
  }
  template <int N>
  SRPO_DEVICE void load(float (&g)[N], int64_t i) const {
    const int64_t row = (first + i) / inputs, column = (first + i) - row * inputs;
    for (int j = 0; j < N; ++j) g[j] = 0;
    for (int64_t r = 0; r < samples; ++r) {
      const float scale = float(dy[r * outputs + row]);
      float some[N];
      load_pack(some, x + r * inputs + column);
      for (int j = 0; j < N; ++j) g[j] += product(scale, some[j]);
    }
  }
};

/// Calls f with the gradients as op has them.
template <typename F>
void visit_gradient(const AdamwStep& op, const F& f) {
  const auto& [dy, x, first] = op.factors;
  if (op.grad)
    visit_float(op.grad.dtype, [&]<typename G>() { f(StoredGradient<G>{op.grad.data<G>()}); });
  else
    visit_float(dy.dtype, [&, &dy = dy, &x = x, first = first]<typename T>() {
      f(FactoredGradient<T>{dy.template data<T>(), x.template data<T>(), dy.dim(0), dy.dim(1),
                            x.dim(1), first});
    });
}

}  // namespace srpo::cuda
