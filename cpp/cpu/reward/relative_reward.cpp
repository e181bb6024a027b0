// u = pooled projection^T, features = u / ||u||, reward = scale * features . t,
// t = (1 + k) positive - negative.
//
//   pooled, dpooled  [B, W]  T       projection  [E, W]  T
//   features, u, t   [B, E]  float   dprojection [E, W]  float, added to
//
// Backward, with g = dfeatures + scale * dreward * t:
//   du = (g - (g . features) features) / ||u||,  dpooled = du projection,  dprojection += du^T pooled
// Dot products run in double, dpooled and dprojection in float.

#include "cpp/ops/reward/relative_reward.h"

#include <cmath>
#include <vector>

#include "cpp/cpu/reduce.h"
#include "cpp/cpu/visit.h"

namespace srpo::cpu {
namespace {

/// Columns of dpooled that one thread's turn sums.
constexpr int64_t kColumns = 128;

double value_at(const TensorView& t, int64_t i) {
  return t.dtype == DType::kFloat32 ? t.data<float>()[i] : read(t.data<uint16_t>()[i]);
}

/// t[b, e], i = b * E + e
template <typename Op>
double direction_at(const Op& op, int64_t b, int64_t i) {
  return (1.0 + op.k[b]) * value_at(op.positive, i) - value_at(op.negative, i);
}

std::vector<float> gradient_of_u(const RelativeRewardBackward& op) {
  const auto [B, E] = op.features.sizes<2>();
  std::vector<float> du(B * E);
  std::vector<double> g(E);
  for (int64_t b = 0; b < B; ++b) {
    const float* features = op.features.data<float>() + b * E;
    const double dreward = op.dreward ? double{op.scale} * op.dreward.data<float>()[b] : 0.0;
    double along = 0;
    for (int64_t e = 0; e < E; ++e) {
      g[e] = dreward * direction_at(op, b, b * E + e);
      if (op.dfeatures) g[e] += op.dfeatures.data<float>()[b * E + e];
      along += g[e] * features[e];
    }
    const double norm = op.norm.data<float>()[b];
    if (norm <= kRewardEps) along = 0;
    const double factor = 1 / (norm <= kRewardEps ? kRewardEps : norm);
    for (int64_t e = 0; e < E; ++e)
      du[b * E + e] = static_cast<float>(factor * (g[e] - along * features[e]));
  }
  return du;
}

}  // namespace

void relative_reward_forward(const RelativeRewardForward& op, Stream&) {
  visit_bits(op.pooled.dtype, [&]<typename T>() {
    const auto [B, W] = op.pooled.sizes<2>();
    const int64_t E = op.projection.dim(0);
    const T *pooled = op.pooled.data<T>(), *projection = op.projection.data<T>();
    std::vector<double> u(B * E);
    parallel_ranges(B * E, rows_of_range(W), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        u[i] = reduce_kernels<T>().dot(pooled + i / E * W, projection + i % E * W, W);
    });
    for (int64_t b = 0; b < B; ++b) {
      const double* row = u.data() + b * E;
      double squares = 0;
      for (int64_t e = 0; e < E; ++e) squares += row[e] * row[e];
      const double norm = std::sqrt(squares);
      const double factor = 1 / (norm <= kRewardEps ? kRewardEps : norm);
      double reward = 0;
      for (int64_t e = 0; e < E; ++e) {
        const double feature = factor * row[e];
        op.features.data<float>()[b * E + e] = static_cast<float>(feature);
        reward += feature * direction_at(op, b, b * E + e);
      }
      op.norm.data<float>()[b] = static_cast<float>(norm);
      op.reward.data<float>()[b] = static_cast<float>(op.scale * reward);
    }
  });
}

void relative_reward_backward(const RelativeRewardBackward& op, Stream&) {
  visit_bits(op.pooled.dtype, [&]<typename T>() {
    const auto [B, W] = op.pooled.sizes<2>();
    const int64_t E = op.projection.dim(0);
    const T *pooled = op.pooled.data<T>(), *projection = op.projection.data<T>();
    const std::vector<float> du = gradient_of_u(op);
    if (op.dpooled) {
      const int64_t blocks = (W + kColumns - 1) / kColumns;
      parallel_blocks(B * blocks, [&](int64_t block) {
        const int64_t b = block / blocks, first = block % blocks * kColumns;
        const int64_t count = std::min(kColumns, W - first);
        float sums[kColumns] = {};
        for (int64_t e = 0; e < E; ++e)
          reduce_kernels<T>().add_scaled(sums, projection + e * W + first, du[b * E + e], count);
        write(op.dpooled.data<T>() + b * W + first, sums, count);
      });
    }
    if (op.dprojection)
      parallel_ranges(E, rows_of_range(B * W), [&](int64_t begin, int64_t end) {
        for (int64_t e = begin; e < end; ++e)
          for (int64_t b = 0; b < B; ++b)
            reduce_kernels<T>().add_scaled(op.dprojection.data<float>() + e * W, pooled + b * W,
                                           du[b * E + e], W);
      });
  });
}

}  // namespace srpo::cpu
