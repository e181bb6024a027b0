#pragma once
#include <algorithm>
#include <cstdint>
#include <vector>

#include "cpp/cpu/isa.h"
#include "cpp/cpu/parallel.h"
#include "cpp/cpu/reduce_kernels.h"

namespace srpo::cpu {

template <typename T>
const ReduceKernels<T>& reduce_kernels() {
  static const ReduceTables& best = best_of(reduce_generic, reduce_avx2, reduce_avx512);
  if constexpr (sizeof(T) == 4)
    return best.f32;
  else
    return best.bf16;
}

/// Adds up f(begin, count) over blocks of [0, n): the blocks do not depend on the threads, and their
/// sums are added in order.
template <typename F>
double sum_of_blocks(int64_t n, const F& f) {
  constexpr int64_t kBlock = 32768;
  const int64_t blocks = (n + kBlock - 1) / kBlock;
  if (blocks <= 1) return f(int64_t{0}, n);
  std::vector<double> parts(static_cast<size_t>(blocks));
  parallel_blocks(blocks, [&](int64_t block) {
    const int64_t begin = block * kBlock;
    parts[static_cast<size_t>(block)] = f(begin, std::min(kBlock, n - begin));
  });
  double total = 0;
  for (const double part : parts) total += part;
  return total;
}

}  // namespace srpo::cpu
