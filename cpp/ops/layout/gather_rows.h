#pragma once
#include <vector>

#include "cpp/core/stream.h"
#include "cpp/core/tensor_view.h"

namespace srpo {

/// One row a sample: y[b] = x[b, index[b]].
struct GatherRowsForward {
  TensorView y;                // [B, D]     out
  TensorView x;                // [B, L, D]
  std::vector<int64_t> index;  // B numbers in [0, L)
};

/// dx is dy in the rows that were taken and 0 elsewhere.
struct GatherRowsBackward {
  TensorView dx;               // [B, L, D]  out
  TensorView dy;               // [B, D]
  std::vector<int64_t> index;  // B numbers in [0, L)
};

void gather_rows_forward(const GatherRowsForward& op, Stream& stream);
void gather_rows_backward(const GatherRowsBackward& op, Stream& stream);

}  // namespace srpo
