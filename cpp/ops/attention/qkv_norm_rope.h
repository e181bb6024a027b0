#pragma once
#include <array>

#include "cpp/core/stream.h"
#include "cpp/core/tensor_view.h"

namespace srpo {

/// One stream of tokens that takes part in a joint attention.
struct QkvStream {
  TensorView qkv;  // [B, Li, 3*N*Dh]  rows of a fused projection: q of all heads, then k, then v
  TensorView q_scale;  // [Dh]             weight of the RMS norm of q; missing: q is not normalised
  TensorView k_scale;  // [Dh]             the same for k
};
constexpr int kMaxQkvStreams = 2;

/// Splits the heads of one or two streams, normalises q and k over Dh, turns them by their position:
///   n = x * rstd * scale,  rstd = 1 / sqrt(mean(x^2) + eps)
///   y[2m]   = n[2m] * cos[m] - n[2m+1] * sin[m]
///   y[2m+1] = n[2m+1] * cos[m] + n[2m] * sin[m]
/// v is copied. The streams' tokens follow one another: L is the sum of the Li.
/// Source: FLUX.1 double blocks; RMS norm (Zhang & Sennrich 2019), rotary (Su et al. 2021, eq. 34).
struct QkvNormRopeForward {
  TensorView q;       // [B, N, L, Dh]         out
  TensorView k;       // [B, N, L, Dh]         out
  TensorView v;       // [B, N, L, Dh]         out
  TensorView q_rstd;  // [B, N, L]      float  out, for backward; missing if no stream has a q_scale
  TensorView k_rstd;  // [B, N, L]      float  out, for backward; missing if no stream has a k_scale
  std::array<QkvStream, kMaxQkvStreams> streams;  // the second may be missing
  TensorView cos;                                 // [L, Dh/2]      float  may be missing, with sin
  TensorView sin;                                 // [L, Dh/2]      float
  float eps;
};

/// dqkv is written; the scales' gradients are added to.
struct QkvNormRopeBackward {
  std::array<TensorView, kMaxQkvStreams> dqkv;  // [B, Li, 3*N*Dh]         out
  std::array<TensorView, kMaxQkvStreams>
      dq_scale;  // [Dh]             float  added to; may be missing
  std::array<TensorView, kMaxQkvStreams>
      dk_scale;       // [Dh]             float  added to; may be missing
  TensorView dq;      // [B, N, L, Dh]
  TensorView dk;      // [B, N, L, Dh]
  TensorView dv;      // [B, N, L, Dh]
  TensorView q_rstd;  // [B, N, L]      float
  TensorView k_rstd;  // [B, N, L]      float
  std::array<QkvStream, kMaxQkvStreams> streams;
  TensorView cos;  // [L, Dh/2]      float
  TensorView sin;  // [L, Dh/2]      float
};

void qkv_norm_rope_forward(const QkvNormRopeForward& op, Stream& stream);
void qkv_norm_rope_backward(const QkvNormRopeBackward& op, Stream& stream);

}  // namespace srpo
