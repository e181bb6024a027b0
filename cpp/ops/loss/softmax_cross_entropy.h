#pragma once
#include "cpp/core/stream.h"
#include "cpp/core/tensor_view.h"

namespace srpo {

/// y = mean over B of lse[b] - logits[b, target[b]],  lse = log(sum over C of exp(logits)).
/// A target outside [0, C) is ERR_RANGE at the wait that follows.
struct SoftmaxCrossEntropyForward {
  TensorView y;       // [1]     float  out
  TensorView lse;     // [B]     float  out, for backward
  TensorView logits;  // [B, C]
  TensorView target;  // [B]     int32
};

/// dlogits = dy / B * (exp(logits - lse) - one at the target).
struct SoftmaxCrossEntropyBackward {
  TensorView dlogits;  // [B, C]  out
  TensorView dy;       // [1]     float
  TensorView logits;   // [B, C]
  TensorView target;   // [B]     int32
  TensorView lse;      // [B]     float
};

void softmax_cross_entropy_forward(const SoftmaxCrossEntropyForward& op, Stream& stream);
void softmax_cross_entropy_backward(const SoftmaxCrossEntropyBackward& op, Stream& stream);

}  // namespace srpo
