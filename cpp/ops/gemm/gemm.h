// A matrix product as every device takes it: C = A B, batched.
//
//   A [batch, M, K], B [batch, K, N]   float32 or bfloat16, any strides, so that every transpose is
//                                      the same call
//   C [batch, M, N]                    through GemmOutput
//
//   y = x w^T   (x [M, K], w [N, K])   a = {x, .row_stride = K, .column_stride = 1}
//                                      b = {w, .row_stride = 1, .column_stride = K}
//   dx = dy w                          a = {dy, N, 1}, b = {w, K, 1}
//   dw += dy^T x                       a = {dy, 1, N}, b = {x, K, 1}, output.accumulate
#pragma once
#include <cstdint>

#include "cpp/core/dtype.h"
#include "cpp/ops/gemm/gemm_output.h"

namespace srpo {

/// Element (i, j) of batch b is data[b * batch_stride + i * row_stride + j * column_stride], in
/// elements; one of row_stride and column_stride is 1 for speed.
struct GemmOperand {
  const void* data = nullptr;
  int64_t row_stride = 0;
  int64_t column_stride = 0;
  int64_t batch_stride = 0;
};

struct Gemm {
  int64_t M = 0, N = 0, K = 0;
  int64_t batch = 1;
  DType dtype = DType::kFloat32;         // of A and B
  DType output_dtype = DType::kFloat32;  // of what `output` points to
  GemmOperand a;
  GemmOperand b;
  GemmOutput output = {};
};

}  // namespace srpo
