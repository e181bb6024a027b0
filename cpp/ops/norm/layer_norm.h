#pragma once
#include "cpp/core/stream.h"
#include "cpp/core/tensor_view.h"

namespace srpo {

/// y = (x - mean) * rstd * w + b, each row normalised over its last dimension.
/// Source: Ba, Kiros & Hinton 2016, arXiv:1607.06450.
struct LayerNormForward {
  TensorView y;     // [..., D]         out
  TensorView mean;  // [rows]   float   out, for backward
  TensorView rstd;  // [rows]   float   out, 1 / sqrt(var + eps), for backward
  TensorView x;     // [..., D]
  TensorView w;     // [D]              optional: 1
  TensorView b;     // [D]              optional: 0
  float eps;
};

/// dx is written, dw and db are added to; each may be absent.
struct LayerNormBackward {
  TensorView dx;    // [..., D]         out
  TensorView dw;    // [D]      float   in and out
  TensorView db;    // [D]      float   in and out
  TensorView dy;    // [..., D]
  TensorView x;     // [..., D]
  TensorView w;     // [D]              optional
  TensorView mean;  // [rows]   float
  TensorView rstd;  // [rows]   float
};

void layer_norm_forward(const LayerNormForward& op, Stream& stream);
void layer_norm_backward(const LayerNormBackward& op, Stream& stream);

}  // namespace srpo
