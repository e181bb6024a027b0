#include "cpp/ops/attention/qkv_norm_rope.h"

#include "cpp/core/check.h"
#include "cpp/ops/op_table.h"

namespace srpo {

void qkv_norm_rope_forward(const QkvNormRopeForward& op, Stream& stream) {
  constexpr auto kOp = "qkvNormRope";
  const auto [B, N, L, Dh] = op.q.sizes<4>();
  for (const QkvStream& s : op.streams) {
    if (!s.qkv) continue;
    require_float(kOp, "qkv", s.qkv);
    require_not_empty(kOp, "qkv", s.qkv);
    require_shape(kOp, "qkv", s.qkv, {B, -1, 3 * N * Dh});
    require_like(kOp, "qkv", s.qkv, op.q);
    if (s.q_scale) {
      require_shape(kOp, "qScale", s.q_scale, {Dh});
      require_like(kOp, "qScale", s.q_scale, op.q);
    }
    if (s.k_scale) {
      require_shape(kOp, "kScale", s.k_scale, {Dh});
      require_like(kOp, "kScale", s.k_scale, op.q);
    }
  }
  if (op.cos) {
    require_range(kOp, "heads", Dh % 2 == 0, "an even head size for a rotation",
                  std::to_string(Dh));
    require_shape(kOp, "cos", op.cos, {L, Dh / 2});
    require_shape(kOp, "sin", op.sin, {L, Dh / 2});
    for (const auto& [name, table] : {std::pair{"cos", op.cos}, std::pair{"sin", op.sin}}) {
      require_dtype(kOp, name, table, DType::kFloat32);
      require_same_device(kOp, name, table, op.q);
    }
  }
  dispatch(kOp, &OpTable::qkv_norm_rope_forward, op, stream);
}

void qkv_norm_rope_backward(const QkvNormRopeBackward& op, Stream& stream) {
  constexpr auto kOp = "qkvNormRope backward";
  require_same_shape(kOp, "dk", op.dk, op.dq);
  require_same_shape(kOp, "dv", op.dv, op.dq);
  for (const auto& [name, d] : {std::pair{"dq", op.dq}, {"dk", op.dk}, {"dv", op.dv}})
    require_like(kOp, name, d, op.streams[0].qkv);
  dispatch(kOp, &OpTable::qkv_norm_rope_backward, op, stream);
}

}  // namespace srpo
