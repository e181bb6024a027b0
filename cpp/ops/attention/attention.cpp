#include "cpp/ops/attention/attention.h"

#include <algorithm>
#include <cmath>

#include "cpp/core/check.h"
#include "cpp/ops/op_table.h"

namespace srpo {

namespace {

/// What both directions ask of q, k, v, bias and keyMask.
template <typename Op>
void require_inputs(const char* kOp, const Op& op) {
  require_rank(kOp, "q", op.q, 4, "[B, N, Lq, Dh]");
  require_rank(kOp, "k", op.k, 4, "[B, N, Lk, Dh]");
  require_float(kOp, "q", op.q);
  require_not_empty(kOp, "q", op.q);
  require_not_empty(kOp, "k", op.k);
  const auto [B, N, Lq, Dh] = op.q.template sizes<4>();
  const int64_t Lk = op.k.dim(2);
  require_shape(kOp, "k", op.k, {B, N, -1, Dh});
  require_shape(kOp, "v", op.v, {B, N, Lk, Dh});
  require_like(kOp, "k", op.k, op.q);
  require_like(kOp, "v", op.v, op.q);
  if (op.bias) {
    require_shape(kOp, "bias", op.bias, {N, Lq, Lk});
    if (op.bias.dtype != DType::kFloat32) require_dtype(kOp, "bias", op.bias, op.q.dtype);
    require_same_device(kOp, "bias", op.bias, op.q);
  }
  if (op.key_mask) {
    require_shape(kOp, "keyMask", op.key_mask, {B, Lk});
    require_dtype(kOp, "keyMask", op.key_mask, DType::kInt32);
    require_same_device(kOp, "keyMask", op.key_mask, op.q);
  }
  require_range(kOp, "scale", std::isfinite(op.scale), "a finite number", std::to_string(op.scale));
}

}  // namespace

void attention_forward(const AttentionForward& op, Stream& stream) {
  constexpr auto kOp = "attention";
  require_inputs(kOp, op);
  dispatch(kOp, &OpTable::attention_forward, op, stream);
}

void attention_backward(const AttentionBackward& op, Stream& stream) {
  constexpr auto kOp = "attention backward";
  require_inputs(kOp, op);
  const auto [B, N, Lq, Dh] = op.q.sizes<4>();
  if (op.out.rank != 3 || op.out.dim(2) < N * Dh)
    require_shape(kOp, "out", op.out, {B, Lq, N * Dh});
  require_shape(kOp, "out", op.out, {B, Lq, -1});
  require_like(kOp, "out", op.out, op.q);
  require_shape(kOp, "dout", op.dout, {B, Lq, N * Dh});
  require_like(kOp, "dout", op.dout, op.q);
  require_float32(kOp, "lse", op.lse, {B, N, Lq}, op.q);
  if (op.dbias) {
    if (!op.bias) refuse("ERR_TYPE", kOp, "dbias", "none without a bias", "a tensor");
    require_float32(kOp, "dbias", op.dbias, {N, Lq, op.k.dim(2)}, op.q);
  }
  dispatch(kOp, &OpTable::attention_backward, op, stream);
}

int64_t attention_dq_parts(int64_t batch_heads, int64_t Lk) {
  constexpr int64_t kTasks = 32, kKeysOfPart = 128;
  const int64_t wanted = (kTasks + batch_heads - 1) / batch_heads;
  return std::clamp<int64_t>(wanted, 1, (Lk + kKeysOfPart - 1) / kKeysOfPart);
}

}  // namespace srpo
