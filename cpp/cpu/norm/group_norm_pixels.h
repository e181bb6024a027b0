// The pixels of group norm, for whatever target the including file has set. Sixteen channels at a time,
// all pixels of a part beneath each other: what belongs to a channel stays in registers.
#include "cpp/cpu/norm/group_norm_kernels.h"
#include "cpp/cpu/vector.h"

namespace {

using srpo::cpu::GroupNormChannels;
using srpo::cpu::GroupNormTables;

/// Sum of f(pixel) in four strands, which the adder's latency needs.
template <typename F>
SRPO_INLINE f32x16 sum_over(int64_t pixels, const F& f) {
  f32x16 strands[4] = {};
  int64_t p = 0;
  for (; p + 4 <= pixels; p += 4)
#pragma GCC unroll 4
    for (int s = 0; s < 4; ++s) strands[s] += f(p + s);
  for (; p < pixels; ++p) strands[0] += f(p);
  return (strands[0] + strands[1]) + (strands[2] + strands[3]);
}

template <typename T>
void pixel_statistics(float* mean, float* squares, const T* x, int64_t pixels, int64_t C) {
  for_each_16(C, [&](int64_t c, int64_t n) {
    const f32x16 total = sum_over(pixels, [&](int64_t p) { return load_at(x + p * C, c, n); });
    const f32x16 mu = total / static_cast<float>(pixels);
    const f32x16 of_squares = sum_over(pixels, [&](int64_t p) {
      const f32x16 centred = load_at(x + p * C, c, n) - mu;
      return centred * centred;
    });
    store_at(mean, c, mu, n);
    store_at(squares, c, of_squares, n);
  });
}

template <bool silu, typename T>
SRPO_INLINE void forward_with(T* y, const T* x, const GroupNormChannels& channels, int64_t pixels,
                              int64_t C) {
  for_each_16(C, [&](int64_t c, int64_t n) {
    const f32x16 mean = load_at(channels.mean, c, n);
    const f32x16 scale = load_at(channels.rstd, c, n) * load_at(channels.w, c, n);
    const f32x16 b = load_at(channels.b, c, n);
    for (int64_t p = 0; p < pixels; ++p) {
      f32x16 v = (load_at(x + p * C, c, n) - mean) * scale + b;
      if constexpr (silu) v = v * sigmoid(v);
      store_at(y + p * C, c, v, n);
    }
  });
}

template <typename T>
void forward_pixels(T* y, const T* x, const GroupNormChannels& channels, int64_t pixels,
                    int64_t C) {
  if (channels.silu)
    forward_with<true>(y, x, channels, pixels, C);
  else
    forward_with<false>(y, x, channels, pixels, C);
}

/// dy times the activation's slope at v: silu'(v) = s + v * s * (1 - s), s = sigmoid(v).
template <bool silu>
SRPO_INLINE f32x16 before_activation(f32x16 dy, f32x16 v) {
  if constexpr (!silu) return dy;
  const f32x16 s = sigmoid(v);
  return dy * (s + v * s * (1.f - s));
}

template <bool silu, typename T>
SRPO_INLINE void sums_with(float* g_sum, float* g_xhat_sum, const T* dy, const T* x,
                           const GroupNormChannels& channels, int64_t pixels, int64_t C) {
  for_each_16(C, [&](int64_t c, int64_t n) {
    const f32x16 mean = load_at(channels.mean, c, n), rstd = load_at(channels.rstd, c, n);
    const f32x16 w = load_at(channels.w, c, n), b = load_at(channels.b, c, n);
    f32x16 g_total = {}, g_xhat_total = {};
    for (int64_t p = 0; p < pixels; ++p) {
      const f32x16 xhat = (load_at(x + p * C, c, n) - mean) * rstd;
      const f32x16 g = before_activation<silu>(load_at(dy + p * C, c, n), xhat * w + b);
      g_total += g;
      g_xhat_total += g * xhat;
    }
    store_at(g_sum, c, g_total, n);
    store_at(g_xhat_sum, c, g_xhat_total, n);
  });
}

template <typename T>
void backward_sum_pixels(float* g_sum, float* g_xhat_sum, const T* dy, const T* x,
                         const GroupNormChannels& channels, int64_t pixels, int64_t C) {
  if (channels.silu)
    sums_with<true>(g_sum, g_xhat_sum, dy, x, channels, pixels, C);
  else
    sums_with<false>(g_sum, g_xhat_sum, dy, x, channels, pixels, C);
}

template <bool silu, typename T>
SRPO_INLINE void backward_with(T* dx, const T* dy, const T* x, const GroupNormChannels& channels,
                               const float* g_mean, const float* g_xhat_mean, int64_t pixels,
                               int64_t C) {
  for_each_16(C, [&](int64_t c, int64_t n) {
    const f32x16 mean = load_at(channels.mean, c, n), rstd = load_at(channels.rstd, c, n);
    const f32x16 w = load_at(channels.w, c, n), b = load_at(channels.b, c, n);
    const f32x16 g_mu = load_at(g_mean, c, n), g_xhat_mu = load_at(g_xhat_mean, c, n);
    for (int64_t p = 0; p < pixels; ++p) {
      const f32x16 xhat = (load_at(x + p * C, c, n) - mean) * rstd;
      const f32x16 g = before_activation<silu>(load_at(dy + p * C, c, n), xhat * w + b);
      store_at(dx + p * C, c, rstd * (w * g - g_mu - xhat * g_xhat_mu), n);
    }
  });
}

template <typename T>
void backward_pixels(T* dx, const T* dy, const T* x, const GroupNormChannels& channels,
                     const float* g_mean, const float* g_xhat_mean, int64_t pixels, int64_t C) {
  if (channels.silu)
    backward_with<true>(dx, dy, x, channels, g_mean, g_xhat_mean, pixels, C);
  else
    backward_with<false>(dx, dy, x, channels, g_mean, g_xhat_mean, pixels, C);
}

}  // namespace

namespace srpo::cpu {

extern const GroupNormTables SRPO_NAMED(group_norm_) = {
    .f32 = {pixel_statistics<float>, forward_pixels<float>, backward_sum_pixels<float>,
            backward_pixels<float>},
    .bf16 = {pixel_statistics<bf16_bits>, forward_pixels<bf16_bits>, backward_sum_pixels<bf16_bits>,
             backward_pixels<bf16_bits>},
};

}  // namespace srpo::cpu
