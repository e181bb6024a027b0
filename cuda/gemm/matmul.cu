// Batched matrix product: y = A B, A and B as they lie or transposed. Sums run in float.

#include "cpp/ops/gemm/matmul.h"

#include "cuda/gemm/gemm.h"

namespace srpo::cuda {
namespace {

GemmOperand operand(const TensorView& t, bool transposed) {
  const int64_t columns = t.dim(-1);
  return {
      .data = t.pointer,
      .row_stride = transposed ? 1 : columns,
      .column_stride = transposed ? columns : 1,
      .batch_stride = t.dim(-2) * columns,
  };
}

}  // namespace

void matmul_forward(const MatmulForward& op, Stream& stream) {
  const int64_t M = op.y.dim(-2), N = op.y.dim(-1);
  gemm(
      {
          .M = M,
          .N = N,
          .K = op.a.dim(op.transpose_a ? -2 : -1),
          .batch = op.y.rows(2),
          .dtype = op.a.dtype,
          .output_dtype = op.y.dtype,
          .a = operand(op.a, op.transpose_a),
          .b = operand(op.b, op.transpose_b),
          .output = {.out = op.y.pointer, .stride = N, .batch_stride = M * N},
      },
      stream);
}

}  // namespace srpo::cuda
