// One block a row of D elements, in packs of N: for rows that no thread's registers hold. A row is read
// from memory once and then again from cache, which holds the rows of all blocks that run.
#pragma once
#include "cuda/common/block_reduce.cuh"
#include "cuda/common/column_walk.cuh"
#include "cuda/common/math.cuh"
#include "cuda/norm/norm_rows.h"

namespace srpo::cuda {

/// Calls f(d) for this thread's packs [d, d + N) of the row.
template <int N, typename F>
SRPO_DEVICE void for_each_pack(int64_t D, const F& f) {
  for (int64_t d = int64_t{threadIdx.x} * N; d < D; d += int64_t{blockDim.x} * N) f(d);
}

/// Threads that divide a row's packs evenly, 256 at most.
template <int N>
LaunchConfig row_config(int64_t rows, int64_t D, Stream& stream) {
  constexpr int64_t kMostThreads = 256;
  const int64_t packs = ceil_div(D, N), turns = ceil_div(packs, kMostThreads);
  return {.grid = rows, .block = ceil_div(ceil_div(packs, turns), kWarp) * kWarp, .stream = stream};
}

/// The numbers a column, by sample.
template <typename T>
struct NormScale {
  const T *scale, *shift;  // [samples, D], or null
  int64_t rows;            // of a sample
  float plus;

  explicit NormScale(const NormRows& n)
      : scale(n.scale.data<T>()), shift(n.shift.data<T>()), rows(n.rows), plus(n.plus) {}

  /// Of row `row` among all; `at` = d within it.
  template <int N>
  SRPO_DEVICE void load_scale(float (&values)[N], int64_t sample, int64_t D, int64_t d) const {
    if (scale == nullptr) {
      for (float& value : values) value = 1.f;
      return;
    }
    load_pack(values, scale + sample * D + d);
    for (float& value : values) value += plus;
  }
  template <int N>
  SRPO_DEVICE void load_shift(float (&values)[N], int64_t sample, int64_t D, int64_t d) const {
    if (shift != nullptr)
      load_pack(values, shift + sample * D + d);
    else
      for (float& value : values) value = 0.f;
  }
};

}  // namespace srpo::cuda
