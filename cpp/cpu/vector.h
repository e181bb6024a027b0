// Sixteen floats at a time, in GCC's vector extension: one source for AVX-512, AVX2 and plain
// targets. Included only by kernel files that a `#pragma GCC target` stands above; everything has
// internal linkage, so that nothing compiled for one instruction set is linked into another's path.
#pragma once
// g++ 12 warns of the undefined vectors in its own header.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop

#include <cstdint>
#include <cstring>

#pragma GCC diagnostic ignored "-Wpsabi"

namespace {

using f32x16 = float __attribute__((vector_size(64)));
using i32x16 = int32_t __attribute__((vector_size(64)));
using u32x16 = uint32_t __attribute__((vector_size(64)));
using u16x16 = uint16_t __attribute__((vector_size(32)));

#define SRPO_INLINE [[gnu::always_inline]] inline

/// Sixteen bits of a bfloat16 as kernels read them; cpp/core/dtype.h has the type with conversions.
using bf16_bits = uint16_t;

SRPO_INLINE f32x16 splat(float value) {
  return value - f32x16{};  // 0 + value would turn -0 into 0, and so cost an addition
}

SRPO_INLINE f32x16 load(const float* p) {
  f32x16 v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
SRPO_INLINE f32x16 load(const bf16_bits* p) {
#ifdef __AVX512F__
  const __m256i half = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  return (f32x16)_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16);
#else
  u16x16 half;
  std::memcpy(&half, p, sizeof half);
  return (f32x16)(__builtin_convertvector(half, u32x16) << 16);
#endif
}
SRPO_INLINE void store(float* p, f32x16 v) {
  std::memcpy(p, &v, sizeof v);
}
/// Rounds to nearest even; NaN stays NaN.
SRPO_INLINE void store(bf16_bits* p, f32x16 v) {
  const u32x16 u = (u32x16)v;
  const u32x16 rounded = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16;
#ifdef __AVX512F__
  const __mmask16 nan = _mm512_cmp_ps_mask((__m512)v, (__m512)v, _CMP_UNORD_Q);
  const __m512i bits =
      _mm512_mask_or_epi32((__m512i)rounded, nan, (__m512i)(u >> 16), _mm512_set1_epi32(0x40));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16(bits));
#else
  const u32x16 quiet = (u >> 16) | 0x40u;
  const u32x16 is_nan = (u32x16)((u & 0x7fffffffu) > 0x7f800000u);
  const u16x16 half = __builtin_convertvector((quiet & is_nan) | (rounded & ~is_nan), u16x16);
  std::memcpy(p, &half, sizeof half);
#endif
}

/// The first n of sixteen; the others read as 0 and are not written.
#ifdef __AVX512VL__
SRPO_INLINE __mmask16 first_of_16(int64_t n) {
  return static_cast<__mmask16>((1u << n) - 1u);
}
SRPO_INLINE f32x16 load_some(const float* p, int64_t n) {
  return (f32x16)_mm512_maskz_loadu_ps(first_of_16(n), p);
}
SRPO_INLINE f32x16 load_some(const bf16_bits* p, int64_t n) {
  const __m256i half = _mm256_maskz_loadu_epi16(first_of_16(n), p);
  return (f32x16)_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16);
}
SRPO_INLINE void store_some(float* p, f32x16 v, int64_t n) {
  _mm512_mask_storeu_ps(p, first_of_16(n), (__m512)v);
}
#endif
template <typename T>
SRPO_INLINE f32x16 load_some(const T* p, int64_t n) {
  T all[16] = {};
  std::memcpy(all, p, static_cast<size_t>(n) * sizeof(T));
  return load(all);
}
template <typename T>
SRPO_INLINE void store_some(T* p, f32x16 v, int64_t n) {
  T all[16];
  store(all, v);
  std::memcpy(p, all, static_cast<size_t>(n) * sizeof(T));
}

/// Adds in a fixed tree, the same on every instruction set.
SRPO_INLINE float sum(f32x16 v) {
#ifdef __AVX512F__
  const __m256 eight =
      _mm512_castps512_ps256((__m512)v) + _mm256_castpd_ps(_mm512_extractf64x4_pd((__m512d)v, 1));
  const __m128 four = _mm256_castps256_ps128(eight) + _mm256_extractf128_ps(eight, 1);
  const __m128 two = four + _mm_movehl_ps(four, four);
  return two[0] + two[1];
#else
  float a[16];
  store(a, v);
  for (int step = 8; step > 0; step /= 2)
    for (int i = 0; i < step; ++i) a[i] += a[i + step];
  return a[0];
#endif
}
SRPO_INLINE f32x16 maximum(f32x16 a, f32x16 b) {
#ifdef __AVX512F__
  return (f32x16)_mm512_max_ps((__m512)a, (__m512)b);  // b where one is NaN, as below
#else
  return a > b ? a : b;
#endif
}
SRPO_INLINE f32x16 minimum(f32x16 a, f32x16 b) {
#ifdef __AVX512F__
  return (f32x16)_mm512_min_ps((__m512)a, (__m512)b);
#else
  return a < b ? a : b;
#endif
}
SRPO_INLINE float highest(f32x16 v) {
  float a[16];
  store(a, v);
  float best = a[0];
  for (int i = 1; i < 16; ++i) best = a[i] > best ? a[i] : best;
  return best;
}

/// e^x / 2^n for n near x / ln 2: range reduction by ln 2 in two parts, then a polynomial of degree 6 on
/// [-ln 2 / 2, ln 2 / 2].
SRPO_INLINE f32x16 exponential_of_rest(f32x16 x, f32x16 n) {
  f32x16 r = x - n * 0.693359375f;
  r = r - n * -2.12194440e-4f;
  f32x16 p = splat(1.9875691500e-4f);
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  return p * r * r + r + 1.f;
}

/// e^x within 2 ulp; 0 below -87.3, infinity above 88.7; NaN stays NaN.
SRPO_INLINE f32x16 exponential(f32x16 x) {
#ifdef __AVX512F__
  // Of two numbers the instructions give the second if one is NaN. 2^128 scales to infinity.
  const f32x16 clamped = maximum(splat(-87.33654f), minimum(splat(89.f), x));
  const f32x16 n = (f32x16)_mm512_roundscale_ps((__m512)(clamped * 1.44269504f), 0);
  const __mmask16 counts = _mm512_cmp_ps_mask((__m512)x, _mm512_set1_ps(-87.33654f), _CMP_NLT_UQ);
  const f32x16 p = exponential_of_rest(clamped, n);
  return (f32x16)_mm512_maskz_scalef_ps(counts, (__m512)p, (__m512)n);
#else
  const f32x16 clamped = minimum(maximum(x, splat(-87.33654f)), splat(88.72283f));
  const f32x16 n = (clamped * 1.44269504f + 12582912.f) - 12582912.f;  // rounds to an integer
  f32x16 p = exponential_of_rest(clamped, n);
  // 2^n in two steps: n may be 128, one more than an exponent holds.
  const i32x16 whole = __builtin_convertvector(n, i32x16);
  const i32x16 half = whole >> 1;
  p = p * (f32x16)((half + 127) << 23);
  p = p * (f32x16)((whole - half + 127) << 23);
  p = x < -87.33654f ? splat(0.f) : p;
  p = x > 88.72283f ? splat(__builtin_inff()) : p;
  return x == x ? p : x;
#endif
}

/// 1 / (1 + e^-x)
SRPO_INLINE f32x16 sigmoid(f32x16 x) {
  return 1.f / (1.f + exponential(-x));
}

/// Calls f(offset, count) for [0, n) in steps of sixteen; count is 16 but at the end. Unrolled by
/// the two call sites, so that the full steps need no mask.
template <typename F>
SRPO_INLINE void for_each_16(int64_t n, const F& f) {
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) f(i, int64_t{16});
  if (i < n) f(i, n - i);
}
template <typename T>
SRPO_INLINE f32x16 load_at(const T* p, int64_t i, int64_t count) {
  return count == 16 ? load(p + i) : load_some(p + i, count);
}
template <typename T>
SRPO_INLINE void store_at(T* p, int64_t i, f32x16 v, int64_t count) {
  if (count == 16)
    store(p + i, v);
  else
    store_some(p + i, v, count);
}

}  // namespace
