#pragma once
#include "cpp/core/stream.h"
#include "cpp/core/tensor_view.h"

namespace srpo {

/// y = scale * sum over all of x; with scale = 1 / n it is the mean.
struct SumForward {
  TensorView y;  // [1]  float  out
  TensorView x;  // any shape
  double scale;
};

/// dx = scale * dy, the same for each element.
struct SumBackward {
  TensorView dx;  // shape of x  out
  TensorView dy;  // [1]  float
  double scale;
};

void sum_forward(const SumForward& op, const char* name, Stream& stream);
void sum_backward(const SumBackward& op, const char* name, Stream& stream);

}  // namespace srpo
