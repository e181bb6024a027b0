#pragma once
#include "cpp/core/stream.h"
#include "cpp/core/tensor_view.h"

namespace srpo {

/// What a gradient of this norm is multiplied by: max / (norm + 1e-6) if that is below 1, else 1, as
/// torch.nn.utils.clip_grad_norm_ has it; 1 for a norm that is not finite. Read on the device.
SRPO_HOST_DEVICE inline float clip_factor(float norm, float max_norm) {
  const float factor = max_norm / (norm + 1e-6f);
  return factor < 1 && norm <= 3.4028234e38f ? factor : 1.f;
}

/// grad *= clip_factor(norm, max_norm)
struct Clip {
  TensorView grad;  // flat, any shape  in and out
  TensorView norm;  // [1]  float
  float max_norm;
};

void clip(const Clip& op, Stream& stream);

}  // namespace srpo
