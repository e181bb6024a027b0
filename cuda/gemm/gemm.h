// The plain matrix product of the cuda column: C = A B, batched, for any sizes, strides and
// alignment. The readable twin beside the kernels that earn their own file.
//
//   A [batch, M, K], B [batch, K, N]   float32 or bfloat16, any strides: every transpose is one call
//   C [batch, M, N]                    through GemmOutput
//
//   y = x w^T   (x [M, K], w [N, K])   a = {x, .row_stride = K, .column_stride = 1}
//                                      b = {w, .row_stride = 1, .column_stride = K}
//   dx = dy w                          a = {dy, N, 1}, b = {w, K, 1}
//   dw += dy^T x                       a = {dy, 1, N}, b = {x, K, 1}, out.accumulate
#pragma once
#include <cstdint>

#include "cpp/core/dtype.h"
#include "cpp/core/stream.h"
#include "cpp/ops/activation_kind.h"

namespace srpo::cuda {

/// Element (i, j) of batch b is data[b * batch_stride + i * row_stride + j * column_stride], in
/// elements.
struct GemmOperand {
  const void* data = nullptr;
  int64_t row_stride = 0;
  int64_t column_stride = 0;
  int64_t batch_stride = 0;
};

/// What becomes of the sums: pre = sum + bias, out = residual + gate * activation(pre). What is not
/// given is left out. All of the output's dtype.
struct GemmOutput {
  void* out = nullptr;
  int64_t stride = 0;  // of a row, also of pre and residual
  int64_t batch_stride = 0;
  bool accumulate = false;     // out += sum, without the rest; out is float
  const void* bias = nullptr;  // [N]
  ActivationKind activation = ActivationKind::kNone;
  void* pre = nullptr;             // out, for backward
  const void* residual = nullptr;  // [M, N]
  const void* gate = nullptr;      // [M / rows_of_sample, N]
  int64_t rows_of_sample = 1;
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

void gemm(const Gemm& product, Stream& stream);

}  // namespace srpo::cuda
