#pragma once
#include <cstdint>

namespace srpo::cpu {

/// What a group norm knows of each channel of a sample; a channel has its group's mean and rstd.
struct GroupNormChannels {
  const float *mean, *rstd, *w, *b;  // [C]
  bool silu;
};

/// Some pixels of group norm, x [pixels, C]; T is float or the bits of a bfloat16.
template <typename T>
struct GroupNormKernels {
  /// mean [C] of these pixels, and squares [C] = sum of (x - mean)^2.
  void (*statistics)(float* mean, float* squares, const T* x, int64_t pixels, int64_t C);
  void (*forward)(T* y, const T* x, const GroupNormChannels& channels, int64_t pixels, int64_t C);
  /// g_sum [C] = sum of g, g_xhat_sum [C] = sum of g * xhat, with g = dy * act'.
  void (*backward_sums)(float* g_sum, float* g_xhat_sum, const T* dy, const T* x,
                        const GroupNormChannels& channels, int64_t pixels, int64_t C);
  /// dx = rstd * (w * g - g_mean - xhat * g_xhat_mean), the means [C] those of the channel's group.
  void (*backward)(T* dx, const T* dy, const T* x, const GroupNormChannels& channels,
                   const float* g_mean, const float* g_xhat_mean, int64_t pixels, int64_t C);
};

struct GroupNormTables {
  GroupNormKernels<float> f32;
  GroupNormKernels<uint16_t> bf16;
};

extern const GroupNormTables group_norm_generic;
extern const GroupNormTables group_norm_avx2;
extern const GroupNormTables group_norm_avx512;

}  // namespace srpo::cpu
