// What qkvNormRope and qkvProjection both ask of their inputs; q is [B, N, L, Dh].
#pragma once
#include <cmath>
#include <utility>

#include "cpp/core/check.h"

namespace srpo {

/// Of a stream's scales.
template <typename QkvStreamLike>
void require_scales(const char* op, const QkvStreamLike& s, const TensorView& q) {
  const int64_t Dh = q.dim(3);
  if (s.q_scale) {
    require_shape(op, "qScale", s.q_scale, {Dh});
    require_like(op, "qScale", s.q_scale, q);
  }
  if (s.k_scale) {
    require_shape(op, "kScale", s.k_scale, {Dh});
    require_like(op, "kScale", s.k_scale, q);
  }
}

inline void require_rotation(const char* op, const TensorView& cos, const TensorView& sin,
                             const TensorView& q) {
  const int64_t L = q.dim(2), Dh = q.dim(3);
  if (static_cast<bool>(cos) != static_cast<bool>(sin))
    refuse("ERR_TYPE", op, cos ? "sin" : "cos", "both cos and sin, or neither", "one");
  if (!cos) return;
  require_range(op, "heads", Dh % 2 == 0, "an even head size for a rotation", std::to_string(Dh));
  require_shape(op, "cos", cos, {L, Dh / 2});
  require_shape(op, "sin", sin, {L, Dh / 2});
  for (const auto& [name, table] : {std::pair{"cos", cos}, std::pair{"sin", sin}}) {
    require_dtype(op, name, table, DType::kFloat32);
    require_same_device(op, name, table, q);
  }
}

inline void require_eps(const char* op, float eps) {
  require_range(op, "eps", eps >= 0 && std::isfinite(eps), "a finite number of at least 0",
                std::to_string(eps));
}

}  // namespace srpo
