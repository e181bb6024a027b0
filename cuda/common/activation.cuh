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
SRPO_DEVICE float normal_density(float x) {
  return 0.398942280f * expf(-0.5f * x * x);
}

template <ActivationKind kind>
SRPO_DEVICE float activate(float x) {
  if constexpr (kind == ActivationKind::kNone) return x;
  // Beneath the limit every result is 0, where x times the factor would be -inf * 0.
  const float v = x < -100.f ? -100.f : x;
  if constexpr (kind == ActivationKind::kGeluTanh) return v * sigmoid(gelu_tanh_argument(v));
  if constexpr (kind == ActivationKind::kGeluErf) return v * normal_distribution(v);
  if constexpr (kind == ActivationKind::kQuickGelu) return v * sigmoid(1.702f * v);
  return v * sigmoid(v);
}

/// The derivative of `activate` at x.
template <ActivationKind kind>
SRPO_DEVICE float activation_derivative(float x) {
  if constexpr (kind == ActivationKind::kNone) return 1.f;
  const float v = x < -100.f ? -100.f : x > 100.f ? 100.f : x;
  if constexpr (kind == ActivationKind::kGeluTanh) {
    const float s = sigmoid(gelu_tanh_argument(v));
    return s + v * (s * (1.f - s)) * (1.595769122f + 0.214064449f * v * v);
  } else if constexpr (kind == ActivationKind::kGeluErf) {
    return normal_distribution(v) + v * normal_density(v);
  } else {
    constexpr float kSlope = kind == ActivationKind::kQuickGelu ? 1.702f : 1.f;
    const float s = sigmoid(kSlope * v);
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

}  // namespace srpo::cuda
