#pragma once
#include <vector>

#include "cpp/core/stream.h"
#include "cpp/core/tensor_view.h"

namespace srpo {

/// u = pooled projection^T, features = u / max(||u||, eps),
/// reward = scale * features . ((1 + k) positive - negative), a sample at a time.
/// Source: SRPO (arXiv:2509.06942) sec. 3.2, the semantic-relative preference.
struct RelativeRewardForward {
  TensorView reward;      // [B]     float  out
  TensorView features;    // [B, E]  float  out
  TensorView norm;        // [B]     float  out, ||u||, for backward
  TensorView pooled;      // [B, W]
  TensorView projection;  // [E, W]         dtype of pooled
  TensorView positive;    // [B, E]         either dtype
  TensorView negative;    // [B, E]         either dtype
  std::vector<float> k;   // B
  float scale;
};

/// With g = dfeatures + scale * dreward * ((1 + k) positive - negative):
///   du = (g - (g . features) features) / ||u||,  dpooled = du projection,
///   dprojection += du^T pooled.
struct RelativeRewardBackward {
  TensorView dpooled;      // [B, W]         out, optional
  TensorView dprojection;  // [E, W]  float  added to, optional
  TensorView dreward;      // [B]     float  optional
  TensorView dfeatures;    // [B, E]  float  optional
  TensorView features;     // [B, E]  float
  TensorView norm;         // [B]     float
  TensorView pooled;
  TensorView projection;
  TensorView positive;
  TensorView negative;
  std::vector<float> k;
  float scale;
};

/// Below this ||u|| counts as 0, as torch.nn.functional.normalize has it.
constexpr double kRewardEps = 1e-12;

void relative_reward_forward(const RelativeRewardForward& op, Stream& stream);
void relative_reward_backward(const RelativeRewardBackward& op, Stream& stream);

}  // namespace srpo
