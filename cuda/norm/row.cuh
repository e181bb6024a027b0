// One block a row of D elements, in packs of N: what layer norm and RMS norm share. A row is read from
// memory once and then again from cache, which holds the rows of all blocks that run.
#pragma once
#include "cuda/common/block_reduce.cuh"
#include "cuda/common/column_walk.cuh"
#include "cuda/common/math.cuh"

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

/// `values` of an optional parameter at d: 1 each where it is not given.
template <int N, typename T>
SRPO_DEVICE void load_or_one(float (&values)[N], const T* parameter, int64_t d) {
  if (parameter != nullptr)
    load_pack(values, parameter + d);
  else
    for (float& value : values) value = 1.f;
}

}  // namespace srpo::cuda
