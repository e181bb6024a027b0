#pragma once
#include <cstdint>

namespace srpo::cpu {

/// One head of one token. `turn_cos` and `turn_sin` [Dh] are the rotation spelled out for every
/// channel, (c0, c0, c1, c1, ...) and (-s0, s0, -s1, s1, ...), or null. Scales may be null.
template <typename T>
struct QkvNormRopeKernels {
  /// y of one head x [Dh]; returns rstd, 1 without a scale.
  float (*forward)(T* y, const T* x, const T* scale, const float* turn_cos, const float* turn_sin,
                   int64_t Dh, float eps);
  /// dx of one head; what belongs to dscale is added to `dscale` [Dh] unless that is null.
  /// `work` [Dh up to 16] is scratch.
  void (*backward)(T* dx, float* dscale, const T* dy, const T* x, const T* scale, float rstd,
                   const float* turn_cos, const float* turn_sin, int64_t Dh, float* work);
};

struct QkvNormRopeTables {
  QkvNormRopeKernels<float> f32;
  QkvNormRopeKernels<uint16_t> bf16;
};

extern const QkvNormRopeTables qkv_norm_rope_generic;
extern const QkvNormRopeTables qkv_norm_rope_avx2;
extern const QkvNormRopeTables qkv_norm_rope_avx512;

}  // namespace srpo::cpu
