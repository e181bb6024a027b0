// Sums over the rows of a matrix, one a column: the gradients of what all tokens share. A block takes
// 32 neighbouring columns of one sample; its warps stride the rows and then add up in a fixed order:
// two runs give the same bits, which atomic_add would not.
#pragma once
#include "cuda/common/barrier.cuh"
#include "cuda/common/launch.cuh"
#include "cuda/common/shared.cuh"

namespace srpo::cuda {

constexpr int kColumnWarps = 8;

/// Of the K sums that a column has.
template <int K>
struct ColumnParts {
  float sum[kColumnWarps][K][kWarp];
};

/// The launch for it: `samples` groups of rows, D columns, K sums.
template <int K>
LaunchConfig column_config(int64_t samples, int64_t D, Stream& stream) {
  return {.grid = {ceil_div(D, kWarp), samples},
          .block = {kWarp, kColumnWarps},
          .shared = sizeof(ColumnParts<K>),
          .stream = stream};
}

/// Within a kernel so launched, with blockIdx.y the sample, `rows` a sample:
/// `add(sums, row, d)` adds a row's part to float (&sums)[K]; `store(sums, sample, d)` takes the total.
template <int K, typename Add, typename Store>
SRPO_DEVICE void column_sums(int64_t rows, int64_t D, const Add& add, const Store& store) {
  auto& parts = shared_memory<ColumnParts<K>>();
  const int64_t d = int64_t{blockIdx.x} * kWarp + threadIdx.x, sample = blockIdx.y;
  float sums[K] = {};
  for (int64_t row = sample * rows + threadIdx.y; d < D && row < (sample + 1) * rows;
       row += kColumnWarps)
    add(sums, row, d);
  for (int k = 0; k < K; ++k) parts.sum[threadIdx.y][k][threadIdx.x] = sums[k];
  block_barrier();
  if (threadIdx.y != 0 || d >= D) return;
  for (int w = 1; w < kColumnWarps; ++w)
    for (int k = 0; k < K; ++k) sums[k] += parts.sum[w][k][threadIdx.x];
  store(sums, sample, d);
}

}  // namespace srpo::cuda
