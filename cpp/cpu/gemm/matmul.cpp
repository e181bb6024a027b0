// Batched matrix product: y = A B, A and B as they lie or transposed. Sums run in float.

#include "cpp/ops/gemm/matmul.h"

#include "cpp/cpu/gemm/gemm.h"
#include "cpp/ops/gemm/matmul_product.h"

namespace srpo::cpu {

void matmul_forward(const MatmulForward& op, Stream&) {
  gemm(forward_product(op));
}

}  // namespace srpo::cpu
