// What the updates ask of a number, and weights in their two forms.
#pragma once
#include "cpp/ops/update/master.h"
#include "cuda/common/math.cuh"
#include "cuda/elementwise/map.cuh"

namespace srpo::cuda {

SRPO_DEVICE bool is_finite(float x) {
  return fabsf(x) <= 3.402823466e38f;
}

/// N elements of 16 bits, whatever they mean.
template <int N>
SRPO_DEVICE Pack<uint16_t, N> load_halves(const uint16_t* from) {
  return *reinterpret_cast<const Pack<uint16_t, N>*>(from);
}

/// Whether N elements of T at a time can be read from the pointer on.
template <int N, typename T>
bool aligned(const T* pointer) {
  return reinterpret_cast<uintptr_t>(pointer) % sizeof(Pack<T, N>) == 0;
}

/// Weights that are float32.
struct FullWeights {
  float* weights;

  template <int N>
  bool packed() const {
    return aligned<N>(weights);
  }
  template <int N>
  SRPO_DEVICE void load(float (&w)[N], int64_t i) const {
    load_pack(w, weights + i);
  }
  template <int N>
  SRPO_DEVICE void store(int64_t i, const float (&w)[N]) const {
    store_pack(weights + i, w);
  }
};

/// Weights that are bfloat16, with what rebuilds their float32 masters (cpp/ops/update/master.h).
struct SplitWeights {
  uint16_t *weights, *remainder;

  template <int N>
  bool packed() const {
    return aligned<N>(weights) && aligned<N>(remainder);
  }
  template <int N>
  SRPO_DEVICE void load(float (&w)[N], int64_t i) const {
    const auto upper = load_halves<N>(weights + i), lower = load_halves<N>(remainder + i);
    for (int j = 0; j < N; ++j) w[j] = bits_as<float>(master_of(upper.value[j], lower.value[j]));
  }
  template <int N>
  SRPO_DEVICE void store(int64_t i, const float (&w)[N]) const {
    Pack<uint16_t, N> upper, lower;
    for (int j = 0; j < N; ++j) {
      const uint32_t master = bits_as<uint32_t>(w[j]);
      upper.value[j] = master_weight(master);
      lower.value[j] = static_cast<uint16_t>(master);
    }
    *reinterpret_cast<Pack<uint16_t, N>*>(weights + i) = upper;
    *reinterpret_cast<Pack<uint16_t, N>*>(remainder + i) = lower;
  }
};

}  // namespace srpo::cuda
