#pragma once
#include "cpp/core/stream.h"
#include "cpp/core/tensor_view.h"

namespace srpo {

/// out = x + gate * y, one gate a sample, shared by its tokens.
/// Source: FLUX.1 blocks, adaLN-Zero (Peebles & Xie 2023, sec. 3.2).
struct GatedResidualForward {
  TensorView out;   // [B, L, D]  out
  TensorView x;     // [B, L, D]
  TensorView gate;  // [B, D]
  TensorView y;     // [B, L, D]
};

/// Gradients are written; either may be absent. The gradient of x is dout itself.
struct GatedResidualBackward {
  TensorView dgate;  // [B, D]     out: sum over L of dout * y
  TensorView dy;     // [B, L, D]  out: gate * dout
  TensorView dout;   // [B, L, D]
  TensorView gate;   // [B, D]
  TensorView y;      // [B, L, D]
};

void gated_residual_forward(const GatedResidualForward& op, Stream& stream);
void gated_residual_backward(const GatedResidualBackward& op, Stream& stream);

}  // namespace srpo
