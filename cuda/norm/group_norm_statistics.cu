// Mean and variance of the groups of a group norm: part by part of the pixels, in float. The squared
// deviation of a part's channel is taken about its first pixel, where E[x^2] - mean^2 would cancel; parts
// and channels are joined in a fixed order.

#include "cuda/norm/group_norm_statistics.h"

#include "cuda/common/block_reduce.cuh"
#include "cuda/common/column_walk.cuh"

namespace srpo::cuda {
namespace {

constexpr int kGroupThreads = 128;

/// Mean and squared deviation of each channel over the pixels of each part.
template <int N, typename T>
__global__ void group_norm_parts_kernel(float* parts, float* pixels, const T* x,
                                        const ColumnWalk walk) {
  wait_for_earlier_kernel();
  float sums[2][N] = {}, first[N] = {};
  const int64_t column = walk.column<N>();
  if (column < walk.C) load_pack(first, x + walk.begin() * walk.C + column);
  constexpr int kRows = 8;
  Pack<T, N> v[kRows];
  walk.for_each_row<N, kRows>(
      [&](int k, int64_t row) { load_pack(v[k], x + row * walk.C + column); },
      [&](int k, int64_t) {
        for (int j = 0; j < N; ++j) {
          const float distance = float(v[k].value[j]) - first[j];
          sums[0][j] += distance;
          sums[1][j] += distance * distance;
        }
      });
  if (!add_lines(sums, walk)) return;
  const auto n = static_cast<float>(walk.end() - walk.begin());
  if (column == 0) pixels[walk.part()] = n;
  for (int j = 0; j < N; ++j) {
    float* const to = parts + (walk.part() * walk.C + column + j) * 2;
    const float mean = sums[0][j] / n;
    to[0] = first[j] + mean;
    to[1] = fmaxf(0.f, sums[1][j] - sums[0][j] * mean);
  }
}

/// A block for each group.
__global__ void __launch_bounds__(kGroupThreads)
    group_norm_join_kernel(float* statistics, const GroupParts p, int64_t size, int64_t C,
                           int64_t width) {
  wait_for_earlier_kernel();
  const int64_t group = blockIdx.x, sample = blockIdx.y;
  const int64_t runs = width / p.run;
  // f(mean, squares, n) of the group's runs in all parts
  const auto sum_of = [&](const auto& f) {
    float sum = 0.f;
    for (int64_t i = threadIdx.x; i < p.count * runs; i += kGroupThreads) {
      const int64_t part = sample * p.count + i / runs;
      const float* const at = p.parts + (part * (C / p.run) + group * runs + i % runs) * 2;
      sum += f(at[0], at[1], p.pixels[part] * static_cast<float>(p.run));
    }
    return block_sum(sum);
  };
  const auto n = static_cast<float>(size * width);
  const float mu = sum_of([](float m, float, float n) { return n * m; }) / n;
  const float squares =
      sum_of([=](float m, float squares, float n) { return squares + n * (m - mu) * (m - mu); });
  if (threadIdx.x == 0) {
    float* const to = statistics + (sample * gridDim.x + group) * 2;
    to[0] = mu;
    to[1] = squares / n;
  }
}

}  // namespace

void join_statistics(float* statistics, const GroupParts& parts, int64_t B, int64_t size, int64_t C,
                     int64_t groups, Stream& stream) {
  launch(group_norm_join_kernel, {.grid = {groups, B}, .block = kGroupThreads, .stream = stream},
         statistics, parts, size, C, C / groups);
}

void group_norm_statistics(float* statistics, const TensorView& x, int64_t groups, Stream& stream) {
  const auto [B, H, W, C] = x.sizes<4>();
  visit_float(x.dtype, [&, B = B, H = H, W = W, C = C]<typename T>() {
    visit_pack<T>(packs<T>(x.pointer, C), [&]<int N>() {
      const ColumnWalk walk = column_walk<N>(B, H * W, C);
      float* const parts = scratch<float>(stream, B * walk.parts * 2 * C);
      float* const pixels = scratch<float>(stream, B * walk.parts);
      launch(group_norm_parts_kernel<N, T>, walk_config<N, 2>(walk, stream), parts, pixels,
             x.data<T>(), walk);
      join_statistics(statistics, {parts, pixels, walk.parts, 1}, B, H * W, C, groups, stream);
    });
  });
}

}  // namespace srpo::cuda
