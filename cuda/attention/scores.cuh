// The scores of attention, for whichever kernel makes the products: scaled, with the bias added, and
// -infinity where the query does not see the key.
#pragma once
#include <cmath>

#include "cpp/core/tensor_view.h"
#include "cuda/common/target.cuh"

namespace srpo::cuda::attention {

constexpr float kLog2E = 1.442695041f, kLn2 = 0.6931471806f;  // between exponentials of e and of 2

template <typename T>
struct Scores {
  const float* bias;        // [N, Lq, Lk], or null
  const T* narrow_bias;     // the same in T, or null
  const int32_t* key_mask;  // [B, Lk], or null
  int64_t N, Lq, Lk, Dh;
  float scale;
  bool causal;

  /// Of query i and key j, which may lie outside; `head` is b * N + n.
  SRPO_DEVICE float operator()(float product, int64_t head, int64_t i, int64_t j) const {
    if (i >= Lq || j >= Lk || (causal && j > i)) return -INFINITY;
    if (key_mask != nullptr && key_mask[head / N * Lk + j] == 0) return -INFINITY;
    float score = product * scale;
    const int64_t at = (head % N * Lq + i) * Lk + j;
    if (bias != nullptr) score += bias[at];
    if (narrow_bias != nullptr) score += float(narrow_bias[at]);
    return score;
  }
};

template <typename T, typename Op>
Scores<T> scores_of(const Op& op) {
  Scores<T> scores = {.bias = nullptr,
                      .narrow_bias = nullptr,
                      .key_mask = op.key_mask.template data<int32_t>(),
                      .N = op.q.dim(1),
                      .Lq = op.q.dim(2),
                      .Lk = op.k.dim(2),
                      .Dh = op.q.dim(3),
                      .scale = op.scale,
                      .causal = op.causal};
  if (op.bias.dtype == DType::kFloat32)
    scores.bias = op.bias.template data<float>();
  else
    scores.narrow_bias = op.bias.template data<T>();
  return scores;
}

}  // namespace srpo::cuda::attention
