#pragma once
#include "cpp/core/stream.h"
#include "cpp/core/tensor_view.h"

namespace srpo {

/// y = x / max(||x||, eps), a row at a time.
struct L2NormalizeForward {
  TensorView y;     // [B, D]         out
  TensorView norm;  // [B]     float  out, ||x||, for backward
  TensorView x;     // [B, D]
  float eps;
};

/// dx = (dy - (dy . y) y) / ||x||, and dy / eps where ||x|| <= eps.
struct L2NormalizeBackward {
  TensorView dx;    // [B, D]  out
  TensorView dy;    // [B, D]
  TensorView x;     // [B, D]
  TensorView norm;  // [B]     float
  float eps;
};

void l2_normalize_forward(const L2NormalizeForward& op, Stream& stream);
void l2_normalize_backward(const L2NormalizeBackward& op, Stream& stream);

}  // namespace srpo
