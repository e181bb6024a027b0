// Batched matrix product: y = A B, A and B as they lie or transposed. Sums run in float.

#include "cpp/ops/gemm/matmul.h"

#include "cpp/ops/gemm/matmul_product.h"
#include "cuda/gemm/gemm.h"

namespace srpo::cuda {

void matmul_forward(const MatmulForward& op, Stream& stream) {
  gemm(forward_product(op), stream);
}

}  // namespace srpo::cuda
