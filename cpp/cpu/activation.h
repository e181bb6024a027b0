// Activations and their derivatives, sixteen floats at a time, for kernel files that a target
// pragma stands above (see vector.h). NaN stays NaN, and the infinities give the limits.
//
//   gelu-tanh    x sigmoid(2u), u = sqrt(2/pi) (x + 0.044715 x^3); 0.5 x (1 + tanh u) rewritten
//   gelu-erf     x Phi(x), Phi the normal distribution
//   quick-gelu   x sigmoid(1.702 x)
//   silu         x sigmoid(x)
//
// Relative errors of the activations stay below 3e-7 on [-2, inf) and grow with the size of the
// exponent beneath it, to 1e-5 where the result is below 1e-20.
#pragma once
#include "cpp/cpu/vector.h"
#include "cpp/ops/activation_kind.h"

namespace {

using srpo::ActivationKind;

SRPO_INLINE f32x16 absolute(f32x16 x) {
  return (f32x16)((u32x16)x & 0x7fffffffu);
}

/// The normal distribution Phi(x) and its density, each within some ulp of itself, tails included.
/// exp(-x^2 / 2) takes x^2 in two parts, since the rounding of x^2 alone would show in the tail.
/// The scaled complement Q(x) / exp(-x^2 / 2), x >= 0, is s p(s) with s = 1 / (1 + 0.3 x / sqrt 2); p
/// was fitted for the least relative error (2e-8) on x in [0, 13.4].
SRPO_INLINE void normal_distribution(f32x16 x, f32x16& phi, f32x16& density) {
  const f32x16 a = minimum(absolute(x), splat(14.f));
#ifdef __AVX512F__
  const f32x16 square = a * a;
  const f32x16 lost = (f32x16)_mm512_fmsub_ps((__m512)a, (__m512)a, (__m512)square);
  const f32x16 near = exponential(-0.5f * square);
  const f32x16 bell = near - 0.5f * lost * near;
#else
  const f32x16 high = (f32x16)((u32x16)a & 0xfffff000u);
  const f32x16 low = a - high;
  const f32x16 rest = -0.5f * low * (a + high);
  const f32x16 series =
      1.f + rest * (1.f + rest * (0.5f + rest * (0.166666667f + rest * 0.041666668f)));
  const f32x16 bell = exponential(-0.5f * high * high) * series;
#endif
  const f32x16 s = 1.f / (1.f + 0.212132034f * a);
  f32x16 p = splat(-0.12943429f);
  p = p * s + 0.485097464f;
  p = p * s - 0.511228519f;
  p = p * s + 0.546397387f;
  p = p * s - 0.0936328335f;
  p = p * s + 0.214436932f;
  p = p * s + 0.148482271f;
  p = p * s + 0.170691956f;
  p = p * s + 0.169189614f;
  const f32x16 tail = 0.5f * bell * (p * s);
  phi = x > 0.f ? 1.f - tail : tail;
  density = bell * 0.398942280f;
}

/// sqrt(2/pi) (x + 0.044715 x^3), twice
SRPO_INLINE f32x16 gelu_tanh_argument(f32x16 x) {
  return x * (1.595769122f + 0.0713548163f * x * x);
}

template <ActivationKind kind>
SRPO_INLINE f32x16 activate(f32x16 x) {
  if constexpr (kind == ActivationKind::kNone) return x;
  // Beneath the limit every result but quick-gelu's and silu's far tail is 0; there x sigmoid is too.
  const f32x16 v = maximum(x, splat(-100.f));
  f32x16 y;
  if constexpr (kind == ActivationKind::kGeluTanh) {
    y = v * sigmoid(gelu_tanh_argument(v));
  } else if constexpr (kind == ActivationKind::kGeluErf) {
    f32x16 phi, density;
    normal_distribution(v, phi, density);
    y = v * phi;
  } else if constexpr (kind == ActivationKind::kQuickGelu) {
    y = v * sigmoid(1.702f * v);
  } else {
    y = v * sigmoid(v);
  }
  return x == x ? y : x;
}

/// The derivative of `activate` at x.
template <ActivationKind kind>
SRPO_INLINE f32x16 activation_derivative(f32x16 x) {
  if constexpr (kind == ActivationKind::kNone) return splat(1.f);
  const f32x16 v = minimum(maximum(x, splat(-100.f)), splat(100.f));
  f32x16 d;
  if constexpr (kind == ActivationKind::kGeluTanh) {
    const f32x16 s = sigmoid(gelu_tanh_argument(v));
    d = s + v * (s * (1.f - s)) * (1.595769122f + 0.214064449f * v * v);
  } else if constexpr (kind == ActivationKind::kGeluErf) {
    f32x16 phi, density;
    normal_distribution(v, phi, density);
    d = phi + v * density;
  } else if constexpr (kind == ActivationKind::kQuickGelu) {
    const f32x16 s = sigmoid(1.702f * v);
    d = s + 1.702f * v * (s * (1.f - s));
  } else {
    const f32x16 s = sigmoid(v);
    d = s + v * (s * (1.f - s));
  }
  return x == x ? d : x;
}

/// Calls f.template operator()<kind>() for a kind known at run time.
template <typename F>
SRPO_INLINE void visit_activation(ActivationKind kind, const F& f) {
  switch (kind) {
    case ActivationKind::kNone:
      return f.template operator()<ActivationKind::kNone>();
    case ActivationKind::kGeluTanh:
      return f.template operator()<ActivationKind::kGeluTanh>();
    case ActivationKind::kGeluErf:
      return f.template operator()<ActivationKind::kGeluErf>();
    case ActivationKind::kQuickGelu:
      return f.template operator()<ActivationKind::kQuickGelu>();
    case ActivationKind::kSilu:
      return f.template operator()<ActivationKind::kSilu>();
  }
}

}  // namespace
