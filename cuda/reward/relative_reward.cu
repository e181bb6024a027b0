// u = pooled projection^T, features = u / ||u||, reward = scale * features . t,
// t = (1 + k) positive - negative.
//
//   pooled, dpooled  [B, W]  T       projection  [E, W]  T
//   features, u, t   [B, E]  float   dprojection [E, W]  float, added to
//
// Backward, with g = dfeatures + scale * dreward * t:
//   du = (g - (g . features) features) / ||u||,  dpooled = du projection,  dprojection += du^T pooled
//
// The projection is the only large thing (2.6 MB): a warp reads a row of it, and dpooled its columns, so
// that the whole card reads; what remains is one block a sample. Dot products run in double, dpooled and
// dprojection in float.

#include "cpp/ops/reward/relative_reward.h"

#include "cuda/common/block_reduce.cuh"
#include "cuda/common/column_sums.cuh"
#include "cuda/elementwise/map.cuh"

namespace srpo::cuda {
namespace {

constexpr int kThreads = 256;

/// positive or negative, of either dtype.
struct Embedding {
  const void* data;
  bool wide;

  explicit Embedding(const TensorView& t) : data(t.pointer), wide(t.dtype == DType::kFloat32) {}
  SRPO_DEVICE double at(int64_t i) const {
    return wide ? static_cast<const float*>(data)[i] : float(static_cast<const bfloat16*>(data)[i]);
  }
};

struct Direction {
  Embedding positive, negative;
  const float* k;

  /// t[b, e], i = b * E + e
  SRPO_DEVICE double at(int64_t b, int64_t i) const {
    return (1.0 + k[b]) * positive.at(i) - negative.at(i);
  }
};

/// A warp an element of u.
template <typename T>
__global__ void relative_reward_project_kernel(double* u, const T* pooled, const T* projection,
                                               int64_t E, int64_t W, int64_t n) {
  wait_for_earlier_kernel();
  const int64_t i = int64_t{blockIdx.x} * (kThreads / kWarp) + warp();
  const int64_t at = i < n ? i : n - 1;
  const T *row = pooled + at / E * W, *column = projection + at % E * W;
  double sum = 0;
  for (int64_t w = lane(); w < W; w += kWarp) sum += double{float(row[w])} * float(column[w]);
  sum = warp_sum(sum);
  if (i < n && lane() == 0) u[i] = sum;
}

/// One block a sample.
__global__ void relative_reward_forward_kernel(float* reward, float* features, float* norm,
                                               const double* u, Direction t, int64_t E,
                                               float scale) {
  wait_for_earlier_kernel();
  const int64_t b = blockIdx.x;
  double squares = 0;
  for (int64_t i = b * E + threadIdx.x; i < (b + 1) * E; i += kThreads) squares += u[i] * u[i];
  const double length = sqrt(block_sum(squares));
  const double factor = 1 / (length <= kRewardEps ? kRewardEps : length);
  double dot = 0;
  for (int64_t i = b * E + threadIdx.x; i < (b + 1) * E; i += kThreads) {
    features[i] = static_cast<float>(factor * u[i]);
    dot += factor * u[i] * t.at(b, i);
  }
  dot = block_sum(dot);
  if (threadIdx.x != 0) return;
  norm[b] = static_cast<float>(length);
  reward[b] = static_cast<float>(scale * dot);
}

/// One block a sample. dreward and dfeatures may be null.
__global__ void relative_reward_backward_u_kernel(float* du, const float* dreward,
                                                  const float* dfeatures, const float* features,
                                                  const float* norm, Direction t, int64_t E,
                                                  float scale) {
  wait_for_earlier_kernel();
  const int64_t b = blockIdx.x;
  const double slope = dreward == nullptr ? 0 : double{scale} * dreward[b];
  const auto g = [&](int64_t i) {
    return slope * t.at(b, i) + (dfeatures == nullptr ? 0 : dfeatures[i]);
  };
  double along = 0;
  for (int64_t i = b * E + threadIdx.x; i < (b + 1) * E; i += kThreads) along += g(i) * features[i];
  along = block_sum(along);
  const bool tiny = norm[b] <= kRewardEps;
  if (tiny) along = 0;
  const double factor = 1 / (tiny ? kRewardEps : norm[b]);
  for (int64_t i = b * E + threadIdx.x; i < (b + 1) * E; i += kThreads)
    du[i] = static_cast<float>(factor * (g(i) - along * features[i]));
}

/// dpooled[b, w] = sum over e of du[b, e] * projection[e, w]
template <typename T>
__global__ void relative_reward_backward_pooled_kernel(T* dpooled, const float* du,
                                                       const T* projection, int64_t E, int64_t W) {
  wait_for_earlier_kernel();
  column_sums<1>(
      E, W,
      [=](float (&sums)[1], int64_t row, int64_t w) {
        sums[0] += du[row] * float(projection[row % E * W + w]);
      },
      [=](const float (&sums)[1], int64_t b, int64_t w) { dpooled[b * W + w] = T(sums[0]); });
}

template <typename T>
__global__ void relative_reward_backward_projection_kernel(float* dprojection, const float* du,
                                                           const T* pooled, int64_t B, int64_t E,
                                                           int64_t W) {
  wait_for_earlier_kernel();
  map<1>(E * W, false, [=]<int>(int64_t i) {
    float sum = dprojection[i];
    for (int64_t b = 0; b < B; ++b) sum += du[b * E + i / W] * float(pooled[b * W + i % W]);
    dprojection[i] = sum;
  });
}

template <typename Op>
Direction direction_of(const Op& op, Stream& stream) {
  return {Embedding(op.positive), Embedding(op.negative), upload(stream, op.k)};
}

}  // namespace

void relative_reward_forward(const RelativeRewardForward& op, Stream& stream) {
  const auto [B, W] = op.pooled.sizes<2>();
  const int64_t E = op.projection.dim(0), n = B * E;
  auto* u = scratch<double>(stream, n);
  visit_float(op.pooled.dtype, [&, W = W]<typename T>() {
    launch(relative_reward_project_kernel<T>,
           {.grid = ceil_div(n, kThreads / kWarp), .block = kThreads, .stream = stream}, u,
           op.pooled.data<T>(), op.projection.data<T>(), E, W, n);
  });
  launch(relative_reward_forward_kernel, {.grid = B, .block = kThreads, .stream = stream},
         op.reward.data<float>(), op.features.data<float>(), op.norm.data<float>(), u,
         direction_of(op, stream), E, op.scale);
}

void relative_reward_backward(const RelativeRewardBackward& op, Stream& stream) {
  const auto [B, W] = op.pooled.sizes<2>();
  const int64_t E = op.projection.dim(0);
  auto* du = scratch<float>(stream, B * E);
  launch(relative_reward_backward_u_kernel, {.grid = B, .block = kThreads, .stream = stream}, du,
         op.dreward.data<float>(), op.dfeatures.data<float>(), op.features.data<float>(),
         op.norm.data<float>(), direction_of(op, stream), E, op.scale);
  visit_float(op.pooled.dtype, [&, B = B, W = W]<typename T>() {
    if (op.dpooled)
      launch(relative_reward_backward_pooled_kernel<T>, column_config<1>(B, W, stream),
             op.dpooled.data<T>(), du, op.projection.data<T>(), E, W);
    if (op.dprojection)
      launch(relative_reward_backward_projection_kernel<T>, map_config<1>(E * W, stream),
             op.dprojection.data<float>(), du, op.pooled.data<T>(), B, E, W);
  });
}

}  // namespace srpo::cuda
