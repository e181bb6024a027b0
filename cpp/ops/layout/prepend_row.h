#pragma once
#include "cpp/core/stream.h"
#include "cpp/core/tensor_view.h"

namespace srpo {

/// One row before the rows of every sample, as a vision transformer's class token.
struct PrependRowForward {
  TensorView y;    // [B, L + 1, D]  out
  TensorView x;    // [B, L, D]
  TensorView row;  // [D]
};

/// dx is written, drow added to; each may be absent.
struct PrependRowBackward {
  TensorView dx;    // [B, L, D]            out
  TensorView drow;  // [D]           float  in and out
  TensorView dy;    // [B, L + 1, D]
};

void prepend_row_forward(const PrependRowForward& op, Stream& stream);
void prepend_row_backward(const PrependRowBackward& op, Stream& stream);

}  // namespace srpo
