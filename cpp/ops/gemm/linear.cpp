#include "cpp/ops/gemm/linear.h"

#include "cpp/core/check.h"
#include "cpp/ops/gemm/gemm_output.h"
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

/// What both directions ask of x and w.
void require_inputs(const char* op, const TensorView& x, const TensorView& w) {
  if (x.rank < 1) refuse("ERR_SHAPE", op, "x", "[..., K]", shape_text(x));
  require_float(op, "x", x);
  require_not_empty(op, "x", x);
  require_rank(op, "w", w, 2, "[N, K]");
  require_not_empty(op, "w", w);
  require_shape(op, "w", w, {-1, x.dim(-1)});
  require_like(op, "w", w, x);
}

constexpr auto kForward = "linear", kBackward = "linear backward";

void check(const LinearForward& op) {
  constexpr auto kOp = kForward;
  require_inputs(kOp, op.x, op.w);
  const int64_t M = op.x.rows(), N = op.w.dim(0);
  if (op.b) {
    require_shape(kOp, "b", op.b, {N});
    require_like(kOp, "b", op.b, op.x);
  }
  bool fits = op.y.rank == op.x.rank;
  for (int i = 0; fits && i < op.x.rank - 1; ++i) fits = op.y.dims[i] == op.x.dims[i];
  if (!fits)
    refuse("ERR_SHAPE", kOp, "x", "rows as in the tensor it goes into, " + shape_text(op.y),
           shape_text(op.x));
  if (op.y.dim(-1) < N)
    refuse("ERR_SHAPE", kOp, "w", "at most " + std::to_string(op.y.dim(-1)) + " rows",
           shape_text(op.w));
  require_like(kOp, "x", op.x, op.y);
  if (op.y.dim(-1) > N && (op.residual || op.gate))
    refuse("ERR_TYPE", kOp, "into", "neither residual nor gate beside other columns", "one");
  if (op.residual) {
    require_same_shape(kOp, "residual", op.residual, op.y);
    require_like(kOp, "residual", op.residual, op.x);
  }
  if (op.gate) require_gate(kOp, op.gate, M, N, op.x);
}

void check(const LinearBackward& op) {
  constexpr auto kOp = kBackward;
  require_inputs(kOp, op.x, op.w);
  const int64_t M = op.x.rows(), N = op.w.dim(0);
  bool fits = op.dy.rank == op.x.rank && op.dy.dims[op.x.rank - 1] == N;
  for (int i = 0; fits && i < op.x.rank - 1; ++i) fits = op.dy.dims[i] == op.x.dims[i];
  if (!fits)
    refuse("ERR_SHAPE", kOp, "dy",
           std::to_string(M) + " rows of " + std::to_string(N) + " in the form of x " +
               shape_text(op.x),
           shape_text(op.dy));
  require_like(kOp, "dy", op.dy, op.x);
  if (op.dw && op.dw.dtype == op.x.dtype)
    require_gradient(kOp, "dw", op.dw, op.w);
  else if (op.dw)
    require_float32_like(kOp, "dw", op.dw, op.w);
  if (op.db) require_float32(kOp, "db", op.db, {N}, op.x);
  if (op.squares) {
    if (!op.dw) refuse("ERR_TYPE", kOp, "dw", "what squares are of", "nothing");
    const auto blocks = [](int64_t n, int64_t each) { return (n + each - 1) / each; };
    require_float32(kOp, "squares", op.squares,
                    {blocks(N, kSquareRows), blocks(op.x.dim(-1), kSquareColumns)}, op.x);
  }
  if (op.gate) require_gate(kOp, op.gate, M, N, op.x);
  if (op.dgate && !op.gate) refuse("ERR_TYPE", kOp, "gate", "the gate of forward", "nothing");
  if (op.pre) {
    require_same_shape(kOp, "pre", op.pre, op.dy);
    require_like(kOp, "pre", op.pre, op.x);
  }
  const bool reads_pre = op.activation != ActivationKind::kNone || op.dgate;
  if (reads_pre && !op.pre) refuse("ERR_TYPE", kOp, "pre", "what forward saved", "nothing");
  if (op.input_pre) {
    TensorView behind = op.x;
    if (op.dx_before) behind.dims[behind.rank - 1] -= op.dx_before.dim(-1);
    require_same_shape(kOp, "inputPre", op.input_pre, behind);
    require_like(kOp, "inputPre", op.input_pre, op.x);
  } else if (op.input_activation != ActivationKind::kNone) {
    refuse("ERR_TYPE", kOp, "inputPre", "what the activation of x was given", "nothing");
  }
}

/// Both of a pair, which is of one device.
template <typename Pair>
void check_pair(const char* op, const Pair& pair) {
  check(pair.first);
  check(pair.second);
  require_like(op, "x", pair.second.x, pair.first.x);
}

}  // namespace

void linear_forward(const LinearForward& op, Stream& stream) {
  check(op);
  dispatch(kForward, &OpTable::linear_forward, op, stream);
}

void linear_backward(const LinearBackward& op, Stream& stream) {
  check(op);
  dispatch(kBackward, &OpTable::linear_backward, op, stream);
}

void linear_pair_forward(const LinearPairForward& op, Stream& stream) {
  check_pair(kForward, op);
  dispatch(kForward, &OpTable::linear_pair_forward, op, stream);
}

void linear_pair_backward(const LinearPairBackward& op, Stream& stream) {
  check_pair(kBackward, op);
  dispatch(kBackward, &OpTable::linear_pair_backward, op, stream);
}

}  // namespace srpo
