// Sums over everything, in double: a grid of parts whose number depends on n alone, then one block that
// adds them up. Two runs, and two cards, give the same bits.
//
//   launch(parts_kernel, sum_config(parts_of(n), stream), parts, ...);     sum_part(parts, n, ...)
//   launch(total_kernel, sum_config(1, stream), y, parts, parts_of(n));    total_of(parts, count)
#pragma once
#include "cuda/common/block_reduce.cuh"
#include "cuda/common/dtype.cuh"
#include "cuda/common/launch.cuh"

namespace srpo::cuda {

constexpr int kSumThreads = 256;

/// Into how many parts a sum over n elements is cut: 4096 elements each, and more from 2^24 on.
inline int64_t parts_of(int64_t n) {
  constexpr int64_t kElements = 4096, kMost = 4096;
  const int64_t parts = ceil_div(n, kElements);
  return parts < kMost ? parts : kMost;
}

/// The launch for it: a block a part, a grid row a sample, each of which has a sum of its own.
inline LaunchConfig sum_config(int64_t parts, Stream& stream, int64_t samples = 1) {
  return {.grid = {parts, samples}, .block = kSumThreads, .stream = stream};
}

/// Within a kernel so launched, n elements a sample: adds up add.template operator()<N>(i), the double
/// sum over elements [i, i + N) of the sample, and stores it in parts[sample][part]. `packed` says that
/// N may be above 1.
template <int N, typename Add>
SRPO_DEVICE void sum_part(double* parts, int64_t n, bool packed, const Add& add) {
  const int64_t count = ceil_div(n, N), each = ceil_div(count, gridDim.x);
  const int64_t end = each * (blockIdx.x + 1) < count ? each * (blockIdx.x + 1) : count;
  double sum = 0;
  for (int64_t pack = each * blockIdx.x + threadIdx.x; pack < end; pack += kSumThreads) {
    const int64_t begin = pack * N;
    if (packed && begin + N <= n) {
      sum += add.template operator()<N>(begin);
    } else {
      for (int64_t i = begin; i < begin + N && i < n; ++i) sum += add.template operator()<1>(i);
    }
  }
  sum = block_sum(sum);
  if (threadIdx.x == 0) parts[int64_t{blockIdx.y} * gridDim.x + blockIdx.x] = sum;
}

/// Within a block of kSumThreads: the sum of parts[0] ... parts[count - 1], in every thread.
SRPO_DEVICE double total_of(const double* parts, int64_t count) {
  double sum = 0;
  for (int64_t i = threadIdx.x; i < count; i += kSumThreads) sum += parts[i];
  return block_sum(sum);
}

}  // namespace srpo::cuda
