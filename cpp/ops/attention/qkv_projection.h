#pragma once
#include <array>

#include "cpp/ops/attention/qkv_norm_rope.h"
#include "cpp/ops/gemm/linear.h"

namespace srpo {

struct QkvProjectionStream {
  TensorView x;        // [B, Li, D]
  TensorView w;        // [3*N*Dh, D]  rows of q of all heads, then k, then v
  TensorView b;        // [3*N*Dh]     may be missing
  TensorView q_scale;  // [Dh]         weight of the RMS norm of q; missing: q is not normalised
  TensorView k_scale;  // [Dh]         the same for k
};

/// QkvNormRopeForward of x w^T + b, without an end for backward: where a column can, the projection itself
/// is not written, and not rounded. Without gradient.
struct QkvProjection {
  TensorView q;                                             // [B, N, L, Dh]  out
  TensorView k;                                             // [B, N, L, Dh]  out
  TensorView v;                                             // [B, N, L, Dh]  out
  std::array<QkvProjectionStream, kMaxQkvStreams> streams;  // the second may be missing
  TensorView cos;  // [L, Dh/2]  float  may be missing, with sin
  TensorView sin;  // [L, Dh/2]  float
  float eps;
};

void qkv_projection(const QkvProjection& op, Stream& stream);

}  // namespace srpo
