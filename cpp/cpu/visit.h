// What the kernels of the cpu column share: one switch over dtypes, and single elements of either one.
#pragma once
#include <bit>
#include <cstdint>

#include "cpp/core/dtype.h"

namespace srpo::cpu {

/// visit_float, with a bfloat16 as the 16 bits that the kernels take.
template <typename F>
void visit_bits(DType dtype, const F& f) {
  visit_float(dtype, [&]<typename T>() {
    if constexpr (sizeof(T) == 4)
      f.template operator()<float>();
    else
      f.template operator()<uint16_t>();
  });
}

/// Rows of D elements that make one range of parallel_ranges: some 16384 elements.
inline int64_t rows_of_range(int64_t D) {
  return D >= 16384 ? 1 : 16384 / D;
}

/// Float results into a tensor of either dtype.
inline void write(float* to, const float* from, int64_t n) {
  for (int64_t i = 0; i < n; ++i) to[i] = from[i];
}
inline void write(uint16_t* to, const float* from, int64_t n) {
  for (int64_t i = 0; i < n; ++i) to[i] = bfloat16(from[i]).bits;
}

/// One element of either dtype as a float.
inline float read(float value) {
  return value;
}
inline float read(uint16_t bits) {
  return static_cast<float>(std::bit_cast<bfloat16>(bits));
}

}  // namespace srpo::cpu
