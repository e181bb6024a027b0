#pragma once
#include <cstdint>

namespace srpo::cpu {

/// One row or a few of layer norm; T is float or the bits of a bfloat16. w and b may be null.
template <typename T>
struct LayerNormKernels {
  /// y, mean, rstd of one row x [D].
  void (*forward)(T* y, float* mean, float* rstd, const T* x, const T* w, const T* b, int64_t D,
                  float eps);
  /// dx of one row.
  void (*backward_x)(T* dx, const T* dy, const T* x, const T* w, float mean, float rstd, int64_t D);
  /// dw and db [D], float, of `rows` rows, added to what is there.
  void (*backward_parameters)(float* dw, float* db, const T* dy, const T* x, const float* mean,
                              const float* rstd, int64_t rows, int64_t D);
};

struct LayerNormTables {
  LayerNormKernels<float> f32;
  LayerNormKernels<uint16_t> bf16;
};

extern const LayerNormTables layer_norm_generic;
extern const LayerNormTables layer_norm_avx2;
extern const LayerNormTables layer_norm_avx512;

}  // namespace srpo::cpu
