#pragma once
#include <cstdint>

namespace srpo::cpu {

/// One row or a few of RMS norm; T is float or the bits of a bfloat16. w may be null.
template <typename T>
struct RmsNormKernels {
  /// y, rstd of one row x [D].
  void (*forward)(T* y, float* rstd, const T* x, const T* w, int64_t D, float eps);
  /// dx of one row.
  void (*backward_x)(T* dx, const T* dy, const T* x, const T* w, float rstd, int64_t D);
  /// dw [D], float, of `rows` rows, added to what is there.
  void (*backward_weight)(float* dw, const T* dy, const T* x, const float* rstd, int64_t rows,
                          int64_t D);
};

struct RmsNormTables {
  RmsNormKernels<float> f32;
  RmsNormKernels<uint16_t> bf16;
};

extern const RmsNormTables rms_norm_generic;
extern const RmsNormTables rms_norm_avx2;
extern const RmsNormTables rms_norm_avx512;

}  // namespace srpo::cpu
