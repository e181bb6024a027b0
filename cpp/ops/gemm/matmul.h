#pragma once
#include "cpp/core/stream.h"
#include "cpp/core/tensor_view.h"

namespace srpo {

/// y = A B of every matrix of a batch, A = a or its transpose, B = b or its transpose. Its gradients
/// are products again.
struct MatmulForward {
  TensorView y;  // [S.., M, N]   out
  TensorView a;  // [S.., M, K]   or, transposed, [S.., K, M]
  TensorView b;  // [S.., K, N]   or, transposed, [S.., N, K]
  bool transpose_a;
  bool transpose_b;
};

void matmul_forward(const MatmulForward& op, Stream& stream);

}  // namespace srpo
