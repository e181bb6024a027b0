#pragma once
#include "cpp/core/stream.h"
#include "cpp/core/tensor_view.h"

namespace srpo {

/// y = (1 + scale) * (x - mean) * rstd + shift, each token normalised over its D channels.
/// Source: FLUX.1 blocks, adaLN (Peebles & Xie 2023, sec. 3.2).
struct ModulatedLayerNormForward {
  TensorView y;      // [B, L, D]         out
  TensorView mean;   // [B, L]     float  out, for backward
  TensorView rstd;   // [B, L]     float  out, 1 / sqrt(var + eps), for backward
  TensorView x;      // [B, L, D]
  TensorView scale;  // [B, D]            added to 1 before it multiplies
  TensorView shift;  // [B, D]
  float eps;
};

/// Gradients are written, not added to.
struct ModulatedLayerNormBackward {
  TensorView dx;      // [B, L, D]         out
  TensorView dscale;  // [B, D]            out
  TensorView dshift;  // [B, D]            out
  TensorView dy;      // [B, L, D]
  TensorView x;       // [B, L, D]
  TensorView scale;   // [B, D]
  TensorView mean;    // [B, L]     float
  TensorView rstd;    // [B, L]     float
};

void modulated_layer_norm_forward(const ModulatedLayerNormForward& op, Stream& stream);
void modulated_layer_norm_backward(const ModulatedLayerNormBackward& op, Stream& stream);

}  // namespace srpo
