#include "cpp/ops/attention/qkv_norm_rope.h"

#include "cpp/ops/attention/qkv_checks.h"
#include "cpp/ops/op_table.h"

namespace srpo {

namespace {

/// What both directions ask of the streams and of the rotation; q is [B, N, L, Dh].
template <typename Op>
void require_streams(const char* kOp, const Op& op, const TensorView& q) {
  const auto [B, N, L, Dh] = q.sizes<4>();
  int64_t tokens = 0;
  for (const QkvStream& s : op.streams) {
    if (!s.qkv) continue;
    tokens += s.qkv.dim(1);
    require_float(kOp, "qkv", s.qkv);
    require_not_empty(kOp, "qkv", s.qkv);
    require_shape(kOp, "qkv", s.qkv, {B, -1, 3 * N * Dh});
    require_like(kOp, "qkv", s.qkv, q);
    require_scales(kOp, s, q);
  }
  if (tokens != L)
    refuse("ERR_SHAPE", kOp, "qkv", std::to_string(L) + " tokens in all streams",
           std::to_string(tokens));
  require_rotation(kOp, op.cos, op.sin, q);
}

}  // namespace

void qkv_norm_rope_forward(const QkvNormRopeForward& op, Stream& stream) {
  constexpr auto kOp = "qkvNormRope";
  require_streams(kOp, op, op.q);
  require_eps(kOp, op.eps);
  dispatch(kOp, &OpTable::qkv_norm_rope_forward, op, stream);
}

void qkv_norm_rope_backward(const QkvNormRopeBackward& op, Stream& stream) {
  constexpr auto kOp = "qkvNormRope backward";
  require_rank(kOp, "dq", op.dq, 4, "[B, N, L, Dh]");
  require_not_empty(kOp, "dq", op.dq);
  require_gradient(kOp, "dk", op.dk, op.dq);
  require_gradient(kOp, "dv", op.dv, op.dq);
  require_streams(kOp, op, op.dq);
  const auto [B, N, L, Dh] = op.dq.sizes<4>();
  const auto statistic = [&, B = B, N = N, L = L](const char* name, const TensorView& rstd,
                                                  auto scale) {
    bool wanted = false;
    for (const QkvStream& s : op.streams) wanted = wanted || s.*scale;
    if (wanted != static_cast<bool>(rstd))
      refuse("ERR_TYPE", kOp, name, wanted ? "what forward saved" : "none without a scale",
             rstd ? "a tensor" : "nothing");
    if (rstd) require_float32(kOp, name, rstd, {B, N, L}, op.dq);
  };
  statistic("qRstd", op.q_rstd, &QkvStream::q_scale);
  statistic("kRstd", op.k_rstd, &QkvStream::k_scale);
  for (int i = 0; i < kMaxQkvStreams; ++i) {
    const QkvStream& s = op.streams[i];
    const auto gradient = [&](const char* name, const TensorView& d, const TensorView& of) {
      if (!d) return;
      if (!of) refuse("ERR_TYPE", kOp, name, "none without a scale", "a tensor");
      require_float32_like(kOp, name, d, of);
    };
    gradient("dqScale", op.dq_scale[i], s.q_scale);
    gradient("dkScale", op.dk_scale[i], s.k_scale);
  }
  dispatch(kOp, &OpTable::qkv_norm_rope_backward, op, stream);
}

}  // namespace srpo
