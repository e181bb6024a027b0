// Which ops a projection to q, k and v is made of, for a column that has no kernel for both in one.
#pragma once
#include "cpp/ops/attention/qkv_projection.h"
#include "cpp/ops/gemm/linear.h"

namespace srpo {

/// Of x w^T + b of stream s, if it is laid at `pointer`.
inline TensorView projection_view(const QkvProjectionStream& s, void* pointer) {
  return {.pointer = pointer,
          .dims = {s.x.dim(0), s.x.dim(1), s.w.dim(0)},
          .rank = 3,
          .dtype = s.x.dtype,
          .device = s.x.device};
}

inline LinearForward projection_of(const QkvProjectionStream& s, const TensorView& qkv) {
  return {.y = qkv,
          .pre = {},
          .x = s.x,
          .w = s.w,
          .b = s.b,
          .residual = {},
          .gate = {},
          .activation = ActivationKind::kNone};
}

/// Runs `linear` for every stream, then `norm` on all of them; `allocate(bytes)` is memory for the op.
template <typename Allocate, typename Linear, typename Norm>
void project_in_parts(const QkvProjection& op, const Allocate& allocate, const Linear& linear,
                      const Norm& norm) {
  QkvNormRopeForward joint = {.q = op.q,
                              .k = op.k,
                              .v = op.v,
                              .q_rstd = {},
                              .k_rstd = {},
                              .streams = {},
                              .cos = op.cos,
                              .sin = op.sin,
                              .eps = op.eps};
  for (int i = 0; i < kMaxQkvStreams; ++i) {
    const QkvProjectionStream& s = op.streams[i];
    if (!s.x) continue;
    const TensorView qkv = projection_view(s, allocate(projection_view(s, nullptr).bytes()));
    linear(projection_of(s, qkv));
    joint.streams[i] = {.qkv = qkv, .q_scale = s.q_scale, .k_scale = s.k_scale};
  }
  norm(joint);
}

}  // namespace srpo
