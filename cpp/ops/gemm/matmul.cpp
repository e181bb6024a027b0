#include "cpp/ops/gemm/matmul.h"

#include "cpp/core/check.h"
#include "cpp/ops/op_table.h"

namespace srpo {

void matmul_forward(const MatmulForward& op, Stream& stream) {
  constexpr auto kOp = "matmul";
  require_float(kOp, "a", op.a);
  require_not_empty(kOp, "a", op.a);
  require_not_empty(kOp, "b", op.b);
  require_like(kOp, "b", op.b, op.a);
  const int64_t K = op.a.dim(op.transpose_a ? -2 : -1);
  bool fits = op.b.rank == op.a.rank && op.b.dim(op.transpose_b ? -1 : -2) == K;
  for (int i = 0; fits && i < op.a.rank - 2; ++i) fits = op.b.dim(i) == op.a.dim(i);
  if (!fits)
    refuse("ERR_SHAPE", kOp, "b",
           "the batch of " + shape_text(op.a) + " and " + std::to_string(K) +
               (op.transpose_b ? " columns" : " rows"),
           shape_text(op.b));
  dispatch(kOp, &OpTable::matmul_forward, op, stream);
}

}  // namespace srpo
