// Activations and their derivatives. NaN stays NaN, and the infinities give the limits.
//
//   gelu-tanh    x sigmoid(2u), u = sqrt(2/pi) (x + 0.044715 x^3); 0.5 x (1 + tanh u) rewritten
//   gelu-erf     x Phi(x), Phi the normal distribution
//   quick-gelu   x sigmoid(1.702 x)
//   silu         x sigmoid(x)
#pragma once
#include "cpp/ops/activation_kind.h"
#include "cuda/common/math.cuh"

namespace srpo::cuda {

/// sqrt(2/pi) (x + 0.044715 x^3), twice
SRPO_DEVICE float gelu_tanh_argument(float x) {
  return x * (1.595769122f + 0.0713548163f * x * x);
}

/// Phi(x), within some ulp of itself in the tail too: the complement keeps what 1 + erf would lose.
SRPO_DEVICE float normal_distribution(float x) {
  return 0.5f * erfcf(-0.707106781f * x);
}
/// The same within 2e-5 of itself, without branches: erfc(z) = exp(-z^2) q(1 / (1 + 0.45 z)) for z >= 0, q
/// fitted to least relative error on [0, 80].
SRPO_DEVICE float fast_normal_distribution(float x) {
  const float t = approximate_reciprocal(1.f + 0.318198052f * fabsf(x));
  float q = -0.129811480f;
  q = q * t + 0.276938360f;
  q = q * t + 0.103528090f;
  q = q * t + 0.242762640f;
  q = q * t + 0.252688440f;
  q = q * t + 0.253913590f;
  const float tail = 0.5f * q * t * approximate_exp2(-0.721347520f * x * x);
  return x < 0.f ? tail : 1.f - tail;
}
template <bool kFast = false>
SRPO_DEVICE float normal_density(float x) {
  return 0.398942280f * (kFast ? approximate_exp2(-0.721347520f * x * x) : expf(-0.5f * x * x));
}

/// kFast: within 2e-5 of itself; for results that are rounded to bfloat16.
template <ActivationKind kind, bool kFast = false>
SRPO_DEVICE float activate(float x) {
  if constexpr (kind == ActivationKind::kNone) return x;
  const auto s = [](float u) { return kFast ? fast_sigmoid(u) : sigmoid(u); };
  // Beneath the limit every result is 0, where x times the factor would be -inf * 0.
  const float v = x < -100.f ? -100.f : x;
  if constexpr (kind == ActivationKind::kGeluTanh) return v * s(gelu_tanh_argument(v));
  if constexpr (kind == ActivationKind::kGeluErf)
    return v * (kFast ? fast_normal_distribution(v) : normal_distribution(v));
  if constexpr (kind == ActivationKind::kQuickGelu) return v * s(1.702f * v);
  return v * s(v);
}

/// The derivative of `activate` at x. kFast: within 2e-5 of 1.
template <ActivationKind kind, bool kFast = false>
SRPO_DEVICE float activation_derivative(float x) {
  if constexpr (kind == ActivationKind::kNone) return 1.f;
  const auto sigma = [](float u) { return kFast ? fast_sigmoid(u) : sigmoid(u); };
  const float v = x < -100.f ? -100.f : x > 100.f ? 100.f : x;
  if constexpr (kind == ActivationKind::kGeluTanh) {
    const float s = sigma(gelu_tanh_argument(v));
    return s + v * (s * (1.f - s)) * (1.595769122f + 0.214064449f * v * v);
  } else if constexpr (kind == ActivationKind::kGeluErf) {
    const float phi = kFast ? fast_normal_distribution(v) : normal_distribution(v);
    return phi + v * normal_density<kFast>(v);
  } else {
    constexpr float kSlope = kind == ActivationKind::kQuickGelu ? 1.702f : 1.f;
    const float s = sigma(kSlope * v);
    return s + kSlope * v * (s * (1.f - s));
  }
}

/// Calls f.template operator()<kind>() for a kind known at run time; for launchers.
template <typename F>
void visit_activation(ActivationKind kind, const F& f) {
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

/// The same for use within a kernel.
SRPO_DEVICE float activate(ActivationKind kind, float x) {
  switch (kind) {
    case ActivationKind::kNone:
      return x;
    case ActivationKind::kGeluTanh:
      return activate<ActivationKind::kGeluTanh>(x);
    case ActivationKind::kGeluErf:
      return activate<ActivationKind::kGeluErf>(x);
    case ActivationKind::kQuickGelu:
      return activate<ActivationKind::kQuickGelu>(x);
    case ActivationKind::kSilu:
      return activate<ActivationKind::kSilu>(x);
  }
  return x;
}
SRPO_DEVICE float activation_derivative(ActivationKind kind, float x) {
  switch (kind) {
    case ActivationKind::kNone:
      return 1.f;
    case ActivationKind::kGeluTanh:
      return activation_derivative<ActivationKind::kGeluTanh>(x);
    case ActivationKind::kGeluErf:
      return activation_derivative<ActivationKind::kGeluErf>(x);
    case ActivationKind::kQuickGelu:
      return activation_derivative<ActivationKind::kQuickGelu>(x);
    case ActivationKind::kSilu:
      return activation_derivative<ActivationKind::kSilu>(x);
  }
  return 1.f;
}

}  // namespace srpo::cuda
