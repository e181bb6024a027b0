#pragma once
#include <cstdint>

namespace srpo::cpu {

/// One row or a few of modulated layer norm; T is float or the bits of a bfloat16. Raw pointers
/// only, so that a file compiled for one instruction set brings nothing into another's path.
template <typename T>
struct ModulatedLayerNormKernels {
  /// y, mean, rstd of one row x [D].
  void (*forward)(T* y, float* mean, float* rstd, const T* x, const T* scale, const T* shift,
                  int64_t D, float eps);
  /// dx of one row.
  void (*backward_x)(T* dx, const T* dy, const T* x, const T* scale, float mean, float rstd,
                     int64_t D);
  /// dscale and dshift [D], float, of `rows` rows, added to what is there.
  void (*backward_modulation)(float* dscale, float* dshift, const T* dy, const T* x,
                              const float* mean, const float* rstd, int64_t rows, int64_t D);
};

struct ModulatedLayerNormTables {
  ModulatedLayerNormKernels<float> f32;
  ModulatedLayerNormKernels<uint16_t> bf16;
};

extern const ModulatedLayerNormTables modulated_layer_norm_generic;
extern const ModulatedLayerNormTables modulated_layer_norm_avx2;
extern const ModulatedLayerNormTables modulated_layer_norm_avx512;

}  // namespace srpo::cpu
