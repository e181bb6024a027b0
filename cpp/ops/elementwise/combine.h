#pragma once
#include <vector>

#include "cpp/core/stream.h"
#include "cpp/core/tensor_view.h"

namespace srpo {

/// out = cx[b] * x + cy[b] * y, one pair of coefficients a sample: noising, Euler steps, lerps. Each
/// tensor has a dtype of its own; the arithmetic is float. The gradient of x is the same op without
/// y: cx[b] * dout.
struct CombineForward {
  TensorView out;         // [B, ...]  out
  TensorView x;           // [B, ...]
  TensorView y;           // [B, ...]  optional: then cy is empty
  std::vector<float> cx;  // B
  std::vector<float> cy;  // B
};

void combine_forward(const CombineForward& op, Stream& stream);

}  // namespace srpo
