#include "cpp/ops/gemm/linear.h"

#include "cpp/core/check.h"
#include "cpp/ops/op_table.h"

namespace srpo {
namespace {

/// ERR_SHAPE unless gate is [S, N] with S a divisor of M.
void require_gate(const char* op, const TensorView& gate, int64_t M, int64_t N,
                  const TensorView& x) {
  require_rank(op, "gate", gate, 2, "[B, N]");
  require_not_empty(op, "gate", gate);
  require_shape(op, "gate", gate, {-1, N});
  require_like(op, "gate", gate, x);
  if (M % gate.dim(0) != 0)
    refuse("ERR_SHAPE", op, "gate", "a divisor of " + std::to_string(M) + " rows",
           shape_text(gate));
}

}  // namespace

void linear_forward(const LinearForward& op, Stream& stream) {
  constexpr auto kOp = "linear";
  require_float(kOp, "x", op.x);
  require_not_empty(kOp, "x", op.x);
  require_rank(kOp, "w", op.w, 2, "[N, K]");
  require_not_empty(kOp, "w", op.w);
  require_shape(kOp, "w", op.w, {-1, op.x.dim(-1)});
  require_like(kOp, "w", op.w, op.x);
  const int64_t M = op.x.rows(), N = op.w.dim(0);
  if (op.b) {
    require_shape(kOp, "b", op.b, {N});
    require_like(kOp, "b", op.b, op.x);
  }
  if (op.residual) {
    require_same_shape(kOp, "residual", op.residual, op.y);
    require_like(kOp, "residual", op.residual, op.x);
  }
  if (op.gate) require_gate(kOp, op.gate, M, N, op.x);
  dispatch(kOp, &OpTable::linear_forward, op, stream);
}

void linear_backward(const LinearBackward& op, Stream& stream) {
  constexpr auto kOp = "linear backward";
  const int64_t N = op.w.dim(0);
  if (op.dy.rank != op.x.rank || op.dy.rows() != op.x.rows() || op.dy.dim(-1) != N)
    refuse("ERR_SHAPE", kOp, "dy", std::to_string(op.x.rows()) + " rows of " + std::to_string(N),
           shape_text(op.dy));
  require_like(kOp, "dy", op.dy, op.x);
  if (op.dw) {
    require_same_shape(kOp, "dw", op.dw, op.w);
    require_dtype(kOp, "dw", op.dw, DType::kFloat32);
  }
  if (op.db) {
    require_shape(kOp, "db", op.db, {N});
    require_dtype(kOp, "db", op.db, DType::kFloat32);
  }
  if (op.pre) {
    require_same_shape(kOp, "pre", op.pre, op.dy);
    require_like(kOp, "pre", op.pre, op.x);
  }
  const bool reads_pre = op.activation != ActivationKind::kNone || op.dgate;
  if (reads_pre && !op.pre) refuse("ERR_TYPE", kOp, "pre", "what forward saved", "nothing");
  dispatch(kOp, &OpTable::linear_backward, op, stream);
}

}  // namespace srpo
