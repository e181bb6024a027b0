#pragma once
#include "cpp/core/stream.h"
#include "cpp/core/tensor_view.h"

namespace srpo {

/// y = x * rstd * w, each row divided by the root of its mean square over the last dimension.
/// Source: Zhang & Sennrich 2019, arXiv:1910.07467; T5's layer norm.
struct RmsNormForward {
  TensorView y;     // [..., D]         out
  TensorView rstd;  // [rows]   float   out, 1 / sqrt(mean(x^2) + eps), for backward
  TensorView x;     // [..., D]
  TensorView w;     // [D]              optional: 1
  float eps;
};

/// dx is written, dw is added to; each may be absent.
struct RmsNormBackward {
  TensorView dx;    // [..., D]         out
  TensorView dw;    // [D]      float   in and out
  TensorView dy;    // [..., D]
  TensorView x;     // [..., D]
  TensorView w;     // [D]              optional
  TensorView rstd;  // [rows]   float
};

void rms_norm_forward(const RmsNormForward& op, Stream& stream);
void rms_norm_backward(const RmsNormBackward& op, Stream& stream);

}  // namespace srpo
