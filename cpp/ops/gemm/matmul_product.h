// Which matrix product matmul is, for every device.
#pragma once
#include "cpp/ops/gemm/gemm.h"
#include "cpp/ops/gemm/matmul.h"

namespace srpo {

inline GemmOperand operand_of(const TensorView& t, bool transposed) {
  const int64_t columns = t.dim(-1);
  return {
      .data = t.pointer,
      .row_stride = transposed ? 1 : columns,
      .column_stride = transposed ? columns : 1,
      .batch_stride = t.dim(-2) * columns,
  };
}

/// y = A B
inline Gemm forward_product(const MatmulForward& op) {
  const int64_t M = op.y.dim(-2), N = op.y.dim(-1);
  return {
      .M = M,
      .N = N,
      .K = op.a.dim(op.transpose_a ? -2 : -1),
      .batch = op.y.rows(2),
      .dtype = op.a.dtype,
      .output_dtype = op.y.dtype,
      .a = operand_of(op.a, op.transpose_a),
      .b = operand_of(op.b, op.transpose_b),
      .output = {.out = op.y.pointer, .stride = N, .batch_stride = M * N},
  };
}

}  // namespace srpo
