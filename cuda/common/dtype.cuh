// Elements in memory and floats in registers; groups of elements that one load takes.
#pragma once
#include "cuda/common/target.cuh"

namespace srpo::cuda {

/// N neighbouring elements, moved by one load or store when they are aligned to their size, which
/// must be 4, 8 or 16 bytes.
template <typename T, int N>
struct alignas(sizeof(T) * N) Pack {
  T value[N];
};

/// N elements as they lie, to be converted later; `from` is aligned to N elements.
template <int N, typename T>
SRPO_DEVICE void load_pack(Pack<T, N>& to, const T* from) {
  to = *reinterpret_cast<const Pack<T, N>*>(from);
}

/// N elements as floats; `from` is aligned to N elements.
template <int N, typename T>
SRPO_DEVICE void load_pack(float (&to)[N], const T* from) {
  const auto pack = *reinterpret_cast<const Pack<T, N>*>(from);
  for (int i = 0; i < N; ++i) to[i] = float(pack.value[i]);
}

template <int N, typename T>
SRPO_DEVICE void store_pack(T* to, const float (&from)[N]) {
  Pack<T, N> pack;
  for (int i = 0; i < N; ++i) pack.value[i] = T(from[i]);
  *reinterpret_cast<Pack<T, N>*>(to) = pack;
}

/// How many elements of T a 16-byte load takes.
template <typename T>
constexpr int kPack = 16 / sizeof(T);

/// Whether [pointer + i * stride] can be read in 16-byte packs for every i: for a launcher to choose.
template <typename T>
inline bool packs(const void* pointer, int64_t stride = 0) {
  return reinterpret_cast<uintptr_t>(pointer) % 16 == 0 && stride % kPack<T> == 0;
}

}  // namespace srpo::cuda
