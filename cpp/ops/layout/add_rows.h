#pragma once
#include "cpp/core/stream.h"
#include "cpp/core/tensor_view.h"

namespace srpo {

/// y[b] = x[b] + rows: the same rows for every sample, as a position embedding.
struct AddRowsForward {
  TensorView y;     // [B, L, D]  out
  TensorView x;     // [B, L, D]
  TensorView rows;  // [L, D]
};

/// drows += the sum of dy over the samples, in their order. The gradient of x is dy itself.
struct AddRowsBackward {
  TensorView drows;  // [L, D]     float  in and out
  TensorView dy;     // [B, L, D]
};

void add_rows_forward(const AddRowsForward& op, Stream& stream);
void add_rows_backward(const AddRowsBackward& op, Stream& stream);

}  // namespace srpo
