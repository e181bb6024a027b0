#include "cpp/ops/norm/modulated_layer_norm.h"

#include "cpp/core/check.h"
#include "cpp/ops/op_table.h"

namespace srpo {

void modulated_layer_norm_forward(const ModulatedLayerNormForward& op, Stream& stream) {
  constexpr auto kOp = "modulatedLayerNorm";
  require_rank(kOp, "x", op.x, 3, "[B, L, D]");
  require_float(kOp, "x", op.x);
  require_not_empty(kOp, "x", op.x);
  const auto [B, L, D] = op.x.sizes<3>();
  require_shape(kOp, "scale", op.scale, {B, D});
  require_shape(kOp, "shift", op.shift, {B, D});
  require_like(kOp, "scale", op.scale, op.x);
  require_like(kOp, "shift", op.shift, op.x);
  dispatch(kOp, &OpTable::modulated_layer_norm_forward, op, stream);
}

void modulated_layer_norm_backward(const ModulatedLayerNormBackward& op, Stream& stream) {
  constexpr auto kOp = "modulatedLayerNorm backward";
  require_rank(kOp, "x", op.x, 3, "[B, L, D]");
  require_float(kOp, "x", op.x);
  require_not_empty(kOp, "x", op.x);
  const auto [B, L, D] = op.x.sizes<3>();
  require_gradient(kOp, "dy", op.dy, op.x);
  require_shape(kOp, "scale", op.scale, {B, D});
  require_like(kOp, "scale", op.scale, op.x);
  require_float32(kOp, "mean", op.mean, {B, L}, op.x);
  require_float32(kOp, "rstd", op.rstd, {B, L}, op.x);
  dispatch(kOp, &OpTable::modulated_layer_norm_backward, op, stream);
}

}  // namespace srpo
