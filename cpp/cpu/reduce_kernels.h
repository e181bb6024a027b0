#pragma once
#include <cstdint>

namespace srpo::cpu {

/// Sums over one run of numbers, in double: exact for what a run holds, whatever its order. T is
/// float or the bits of a bfloat16. Shared by loss, reward and update.
template <typename T>
struct ReduceKernels {
  double (*sum)(const T* x, int64_t n);
  double (*squares)(const T* x, int64_t n);
  double (*squared_distance)(const T* a, const T* b, int64_t n);
  double (*dot)(const T* a, const T* b, int64_t n);
  /// out = factor * (a - b)
  void (*scaled_difference)(T* out, const T* a, const T* b, float factor, int64_t n);
  /// y += factor * x
  void (*add_scaled)(float* y, const T* x, float factor, int64_t n);
};

struct ReduceTables {
  ReduceKernels<float> f32;
  ReduceKernels<uint16_t> bf16;
};

extern const ReduceTables reduce_generic;
extern const ReduceTables reduce_avx2;
extern const ReduceTables reduce_avx512;

}  // namespace srpo::cpu
