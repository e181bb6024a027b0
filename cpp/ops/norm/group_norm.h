#pragma once
#include "cpp/core/stream.h"
#include "cpp/core/tensor_view.h"

namespace srpo {

/// y = act(w * (x - mean) * rstd + b), mean and variance over a sample's pixels and the C / groups
/// neighbouring channels of a group (Wu & He 2018); act is silu(v) = v / (1 + e^-v) or nothing.
struct GroupNormForward {
  TensorView y;           // [B, H, W, C]        out
  TensorView mean;        // [B, groups]  float  out, for backward
  TensorView rstd;        // [B, groups]  float  out, 1 / sqrt(var + eps), for backward
  TensorView x;           // [B, H, W, C]
  TensorView w;           // [C]
  TensorView b;           // [C]
  TensorView statistics;  // [B, groups, 2]  float  mean and variance of x's groups, or not given
  float eps;
  bool silu;
};

/// dx is written, dw and db are added to; each may be not given.
struct GroupNormBackward {
  TensorView dx;    // [B, H, W, C]        out
  TensorView dw;    // [C]          float  in and out
  TensorView db;    // [C]          float  in and out
  TensorView dy;    // [B, H, W, C]
  TensorView x;     // [B, H, W, C]
  TensorView w;     // [C]
  TensorView b;     // [C]
  TensorView mean;  // [B, groups]  float
  TensorView rstd;  // [B, groups]  float
  bool silu;
};

/// The check that comes before mean and rstd are allocated.
void group_norm_check(const char* op, const TensorView& x, int64_t groups);
void group_norm_forward(const GroupNormForward& op, Stream& stream);
void group_norm_backward(const GroupNormBackward& op, Stream& stream);

}  // namespace srpo
