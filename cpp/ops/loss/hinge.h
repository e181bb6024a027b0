#pragma once
#include "cpp/core/stream.h"
#include "cpp/core/tensor_view.h"

namespace srpo {

/// y = weight * mean over B of relu(margin - reward).
/// Source: SRPO's loss, fastvideo/SRPO.py (margin 0.7, weight 1 / branches).
struct HingeForward {
  TensorView y;       // [1]  float  out
  TensorView reward;  // [B]
  float margin;
  float weight;
};

/// dreward = -weight / B * dy where margin > reward, else 0 (at equality too, as relu has it).
struct HingeBackward {
  TensorView dreward;  // [B]  out
  TensorView dy;       // [1]  float
  TensorView reward;   // [B]
  float margin;
  float weight;
};

void hinge_forward(const HingeForward& op, Stream& stream);
void hinge_backward(const HingeBackward& op, Stream& stream);

}  // namespace srpo
