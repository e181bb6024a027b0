#pragma once
#include "cpp/core/stream.h"
#include "cpp/core/tensor_view.h"

namespace srpo {

/// y = mean over all elements of (a - b)^2.
struct MseForward {
  TensorView y;  // [1]  float  out
  TensorView a;  // any shape
  TensorView b;  // shape and dtype of a
};

/// da = 2 / n * dy * (a - b), db = -da; either may be not given.
struct MseBackward {
  TensorView da;  // out, optional
  TensorView db;  // out, optional
  TensorView dy;  // [1]  float
  TensorView a;
  TensorView b;
};

void mse_forward(const MseForward& op, Stream& stream);
void mse_backward(const MseBackward& op, Stream& stream);

}  // namespace srpo
