#include "cpp/ops/attention/qkv_projection.h"

#include "cpp/ops/attention/qkv_checks.h"
#include "cpp/ops/op_table.h"

namespace srpo {

void qkv_projection(const QkvProjection& op, Stream& stream) {
  constexpr auto kOp = "qkvProjection";
  const auto [B, N, L, Dh] = op.q.sizes<4>();
  for (const QkvProjectionStream& s : op.streams) {
    if (!s.x) continue;
    require_float(kOp, "x", s.x);
    require_not_empty(kOp, "x", s.x);
    require_shape(kOp, "x", s.x, {B, -1, -1});
    require_like(kOp, "x", s.x, op.q);
    require_shape(kOp, "w", s.w, {3 * N * Dh, s.x.dim(2)});
    require_not_empty(kOp, "w", s.w);
    require_like(kOp, "w", s.w, op.q);
    if (s.b) {
      require_shape(kOp, "b", s.b, {3 * N * Dh});
      require_like(kOp, "b", s.b, op.q);
    }
    require_scales(kOp, s, op.q);
  }
  require_rotation(kOp, op.cos, op.sin, op.q);
  require_eps(kOp, op.eps);
  dispatch(kOp, &OpTable::qkv_projection, op, stream);
}

}  // namespace srpo
