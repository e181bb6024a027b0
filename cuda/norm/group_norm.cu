// Group norm: y = act(w * xhat + b), with xhat = (x - mean) * rstd over a sample's pixels and the
// C / groups neighbouring channels of a group; act is silu or nothing.
//
//   x, y, dx, dy   [B, P, C]     T      P = H * W pixels
//   w, b           [C]           T
//   dw, db         [C]           float  added to
//   mean, rstd     [B, groups]   float  saved by forward, read by backward
//
// Backward, with g = dy * act'(w * xhat + b) and <.> the mean over the group:
//   dx = rstd * (w * g - <w * g> - xhat * <w * g * xhat>)
//   dw = sum over samples and pixels of g * xhat
//   db = sum over samples and pixels of g
//
// A group of a large picture does not fit a multiprocessor: forward reads x once for its mean and variance,
// unless the convolution that made x took them (group_norm_statistics.h), and once more; backward reads x
// and dy twice. Sums run in float, part by part of the pixels; parts are added up in a fixed order.
// Source: Wu & He 2018, arXiv:1803.08494.

#include "cpp/ops/norm/group_norm.h"

#include "cuda/common/activation.cuh"
#include "cuda/common/block_reduce.cuh"
#include "cuda/common/column_sums.cuh"
#include "cuda/common/column_walk.cuh"
#include "cuda/norm/group_norm_statistics.h"

namespace srpo::cuda {
namespace {

constexpr int kGroupThreads = 128;
constexpr int kRows = 4;  // that a thread loads at once

/// What a thread knows of its channels.
template <int N>
struct Channels {
  float mean[N], rstd[N], w[N], b[N];
};
template <int N, typename T>
SRPO_DEVICE Channels<N> channels_of(const T* w, const T* b, const float* mean, const float* rstd,
                                    const ColumnWalk& walk, int64_t width) {
  Channels<N> channels = {};
  const int64_t column = walk.column<N>();
  if (column >= walk.C) return channels;
  load_pack(channels.w, w + column);
  load_pack(channels.b, b + column);
  for (int j = 0; j < N; ++j) {
    const int64_t group = walk.sample() * (walk.C / width) + (column + j) / width;
    channels.mean[j] = mean[group];
    channels.rstd[j] = rstd[group];
  }
  return channels;
}

/// From statistics [B, groups, 2]; the first part of each sample leaves mean and rstd for backward.
template <int N, ActivationKind act, typename T>
__global__ void group_norm_forward_kernel(T* y, float* mean, float* rstd, const T* x, const T* w,
                                          const T* b, const float* statistics,
                                          const ColumnWalk walk, int64_t width, float eps) {
  wait_for_earlier_kernel();
  const int64_t column = walk.column<N>();
  if (column >= walk.C) return;
  Channels<N> of;
  load_pack(of.w, w + column);
  load_pack(of.b, b + column);
  for (int j = 0; j < N; ++j) {
    const int64_t group = walk.sample() * (walk.C / width) + (column + j) / width;
    of.mean[j] = statistics[2 * group];
    of.rstd[j] = rsqrtf(statistics[2 * group + 1] + eps);
    if (blockIdx.x == 0 && static_cast<int>(threadIdx.x) < walk.packs &&
        (column + j) % width == 0) {
      mean[group] = of.mean[j];
      rstd[group] = of.rstd[j];
    }
  }
  Pack<T, N> of_x[kRows];
  walk.for_each_row<N, kRows>(
      [&](int k, int64_t row) { load_pack(of_x[k], x + row * walk.C + column); },
      [&](int k, int64_t row) {
        float v[N];
        for (int j = 0; j < N; ++j)
          v[j] = activate<act>((float(of_x[k].value[j]) - of.mean[j]) * of.rstd[j] * of.w[j] +
                               of.b[j]);
        store_pack(y + row * walk.C + column, v);
      });
}

/// g and xhat of packs of dy and x.
template <ActivationKind act, int N, typename T>
SRPO_DEVICE void gradient_of(float (&g)[N], float (&xhat)[N], const Pack<T, N>& dy,
                             const Pack<T, N>& x, const Channels<N>& of) {
  for (int j = 0; j < N; ++j) {
    xhat[j] = (float(x.value[j]) - of.mean[j]) * of.rstd[j];
    g[j] = float(dy.value[j]) * activation_derivative<act>(xhat[j] * of.w[j] + of.b[j]);
  }
}

/// Sums of g and g * xhat over the pixels of each part.
template <int N, ActivationKind act, typename T>
__global__ void group_norm_backward_parts_kernel(float* parts, const T* dy, const T* x, const T* w,
                                                 const T* b, const float* mean, const float* rstd,
                                                 const ColumnWalk walk, int64_t width) {
  wait_for_earlier_kernel();
  const Channels<N> of = channels_of<N>(w, b, mean, rstd, walk, width);
  const int64_t column = walk.column<N>();
  float sums[2][N] = {};
  Pack<T, N> of_dy[kRows], of_x[kRows];
  walk.for_each_row<N, kRows>(
      [&](int k, int64_t row) {
        load_pack(of_dy[k], dy + row * walk.C + column);
        load_pack(of_x[k], x + row * walk.C + column);
      },
      [&](int k, int64_t) {
        float g[N], xhat[N];
        gradient_of<act>(g, xhat, of_dy[k], of_x[k], of);
        for (int j = 0; j < N; ++j) {
          sums[0][j] += g[j];
          sums[1][j] += g[j] * xhat[j];
        }
      });
  store_parts(parts, sums, walk);
}

__global__ void group_norm_add_parts_kernel(float* dw, float* db, const float* parts, int64_t count,
                                            int64_t C) {
  wait_for_earlier_kernel();
  column_sums<1>(
      count, 2 * C,
      [=](float (&sums)[1], int64_t part, int64_t c) { sums[0] += parts[part * 2 * C + c]; },
      [=](const float (&sums)[1], int64_t, int64_t c) {
        float* const to = c < C ? db : dw;
        if (to != nullptr) to[c % C] += sums[0];
      });
}

/// <w * g> and <w * g * xhat> of each group: means [B, groups, 2].
template <typename T>
__global__ void __launch_bounds__(kGroupThreads)
    group_norm_backward_means_kernel(float* means, const float* parts, const T* w,
                                     const ColumnWalk walk, int64_t width) {
  wait_for_earlier_kernel();
  const int64_t group = blockIdx.x, sample = blockIdx.y;
  Pair sums = {0.f, 0.f};
  for (int64_t i = threadIdx.x; i < walk.parts * width; i += kGroupThreads) {
    const int64_t c = group * width + i % width;
    const float* const at = parts + (sample * walk.parts + i / width) * 2 * walk.C + c;
    sums.first += float(w[c]) * at[0];
    sums.second += float(w[c]) * at[walk.C];
  }
  sums = block_sum(sums);
  if (threadIdx.x != 0) return;
  const int64_t size = walk.rows * width;
  means[(sample * gridDim.x + group) * 2] = sums.first / size;
  means[(sample * gridDim.x + group) * 2 + 1] = sums.second / size;
}

template <int N, ActivationKind act, typename T>
__global__ void group_norm_backward_x_kernel(T* dx, const T* dy, const T* x, const T* w, const T* b,
                                             const float* mean, const float* rstd,
                                             const float* means, const ColumnWalk walk,
                                             int64_t width) {
  wait_for_earlier_kernel();
  const Channels<N> of = channels_of<N>(w, b, mean, rstd, walk, width);
  const int64_t column = walk.column<N>();
  float g_mean[N], g_xhat_mean[N];
  for (int j = 0; j < N && column < walk.C; ++j) {
    const int64_t group = walk.sample() * (walk.C / width) + (column + j) / width;
    g_mean[j] = means[group * 2];
    g_xhat_mean[j] = means[group * 2 + 1];
  }
  Pack<T, N> of_dy[kRows], of_x[kRows];
  walk.for_each_row<N, kRows>(
      [&](int k, int64_t row) {
        load_pack(of_dy[k], dy + row * walk.C + column);
        load_pack(of_x[k], x + row * walk.C + column);
      },
      [&](int k, int64_t row) {
        float g[N], xhat[N];
        gradient_of<act>(g, xhat, of_dy[k], of_x[k], of);
        for (int j = 0; j < N; ++j)
          g[j] = of.rstd[j] * (of.w[j] * g[j] - g_mean[j] - xhat[j] * g_xhat_mean[j]);
        store_pack(dx + row * walk.C + column, g);
      });
}

/// Calls f.template operator()<act>().
template <typename F>
void visit_silu(bool silu, const F& f) {
  silu ? f.template operator()<ActivationKind::kSilu>()
       : f.template operator()<ActivationKind::kNone>();
}

}  // namespace

void group_norm_forward(const GroupNormForward& op, Stream& stream) {
  const auto [B, H, W, C] = op.x.sizes<4>();
  const int64_t groups = op.mean.dim(1);
  const float* statistics = op.statistics.data<float>();
  if (!op.statistics) {
    float* const taken = scratch<float>(stream, B * groups * 2);
    group_norm_statistics(taken, op.x, groups, stream);
    statistics = taken;
  }
  visit_float(op.x.dtype, [&, B = B, H = H, W = W, C = C]<typename T>() {
    const bool packed = packs<T>(op.x.pointer, C) && packs<T>(op.y.pointer) &&
                        packs<T>(op.w.pointer) && packs<T>(op.b.pointer);
    visit_pack<T>(packed, [&]<int N>() {
      const ColumnWalk walk = column_walk<N>(B, H * W, C);
      visit_silu(op.silu, [&]<ActivationKind act>() {
        launch(group_norm_forward_kernel<N, act, T>, walk_config<N>(walk, stream), op.y.data<T>(),
               op.mean.data<float>(), op.rstd.data<float>(), op.x.data<T>(), op.w.data<T>(),
               op.b.data<T>(), statistics, walk, C / groups, op.eps);
      });
    });
  });
}

void group_norm_backward(const GroupNormBackward& op, Stream& stream) {
  const auto [B, H, W, C] = op.x.sizes<4>();
  const int64_t groups = op.mean.dim(1), width = C / groups;
  const auto run = [&, B = B, H = H, W = W, C = C]<typename T, int N, ActivationKind act>() {
    const T *dy = op.dy.data<T>(), *x = op.x.data<T>(), *w = op.w.data<T>(), *b = op.b.data<T>();
    const float *mean = op.mean.data<float>(), *rstd = op.rstd.data<float>();
    const ColumnWalk walk = column_walk<N>(B, H * W, C);
    float* const parts = scratch<float>(stream, B * walk.parts * 2 * C);
    launch(group_norm_backward_parts_kernel<N, act, T>, walk_config<N, 2>(walk, stream), parts, dy,
           x, w, b, mean, rstd, walk, width);
    if (op.dw || op.db)
      launch(group_norm_add_parts_kernel, column_config<1>(1, 2 * C, stream), op.dw.data<float>(),
             op.db.data<float>(), parts, B * walk.parts, C);
    if (!op.dx) return;
    float* const means = scratch<float>(stream, B * groups * 2);
    launch(group_norm_backward_means_kernel<T>,
           {.grid = {groups, B}, .block = kGroupThreads, .stream = stream}, means, parts, w, walk,
           width);
    launch(group_norm_backward_x_kernel<N, act, T>, walk_config<N>(walk, stream), op.dx.data<T>(),
           dy, x, w, b, mean, rstd, means, walk, width);
  };
  visit_float(op.x.dtype, [&, C = C]<typename T>() {
    const bool packed = packs<T>(op.x.pointer, C) && packs<T>(op.dy.pointer) &&
                        packs<T>(op.dx.pointer) && packs<T>(op.w.pointer) && packs<T>(op.b.pointer);
    visit_pack<T>(packed, [&]<int N>() {
      visit_silu(op.silu, [&]<ActivationKind act>() { run.template operator()<T, N, act>(); });
    });
  });
}

}  // namespace srpo::cuda
