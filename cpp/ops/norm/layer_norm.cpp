#include "cpp/ops/norm/layer_norm.h"

#include "cpp/core/check.h"
#include "cpp/ops/op_table.h"

namespace srpo {

void layer_norm_forward(const LayerNormForward& op, Stream& stream) {
  constexpr auto kOp = "layerNorm";
  require_float(kOp, "x", op.x);
  if (op.x.rank < 1) require_rank(kOp, "x", op.x, 1, "[..., D]");
  require_not_empty(kOp, "x", op.x);
  const auto parameter = [&](const char* name, const TensorView& t) {
    if (!t) return;
    require_shape(kOp, name, t, {op.x.dim(-1)});
    require_like(kOp, name, t, op.x);
  };
  parameter("w", op.w);
  parameter("b", op.b);
  require_range(kOp, "eps", op.eps > 0.f, "a number above 0", std::to_string(op.eps));
  dispatch(kOp, &OpTable::layer_norm_forward, op, stream);
}

void layer_norm_backward(const LayerNormBackward& op, Stream& stream) {
  constexpr auto kOp = "layerNorm backward";
  require_float(kOp, "x", op.x);
  if (op.x.rank < 1) require_rank(kOp, "x", op.x, 1, "[..., D]");
  require_not_empty(kOp, "x", op.x);
  require_gradient(kOp, "dy", op.dy, op.x);
  require_float32(kOp, "mean", op.mean, {op.x.rows()}, op.x);
  require_float32(kOp, "rstd", op.rstd, {op.x.rows()}, op.x);
  if (op.w) {
    require_shape(kOp, "w", op.w, {op.x.dim(-1)});
    require_like(kOp, "w", op.w, op.x);
  }
  const auto gradient = [&](const char* name, const TensorView& t) {
    if (t) require_float32(kOp, name, t, {op.x.dim(-1)}, op.x);
  };
  gradient("dw", op.dw);
  gradient("db", op.db);
  dispatch(kOp, &OpTable::layer_norm_backward, op, stream);
}

}  // namespace srpo
